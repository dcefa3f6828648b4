-- Times of hosts are seldom ahead of ours, so the search begins a second from now instead of at the end of the last
-- partition. Planned for its times each time: a plan for any times would lock and look at all partitions.

create or replace function newest_flow(low timestamptz, high timestamptz) returns timestamptz
language plpgsql stable
set enable_seqscan = off
set plan_cache_mode = force_custom_plan
as $$
declare
  width interval := interval '1 second';
  soon timestamptz := clock_timestamp() + interval '1 second';
  lo timestamptz;
  hi timestamptz := high;
  middle timestamptz;
begin
  if low < soon and soon < high and not exists (select from flows where time >= soon and time < high) then
    hi := soon;
  end if;
  while hi > low loop
    lo := greatest(low, hi - width);
    if exists (select from flows where time >= lo and time < hi) then
      while hi - lo > interval '10 milliseconds' loop
        middle := lo + (hi - lo) / 2;
        if exists (select from flows where time >= middle and time < hi) then
          lo := middle;
        else
          hi := middle;
        end if;
      end loop;
      return hi;
    end if;
    hi := lo;
    width := width * 2;
  end loop;
  return null;
end
$$;
