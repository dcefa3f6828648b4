-- Where in a range the newest flow is. The open partition has only BRIN, which tells quickly that a range is empty
-- and finds one row of it, but cannot order: so look at wider and wider ranges, then halve.

create function newest_flow(low timestamptz, high timestamptz) returns timestamptz
language plpgsql stable
set enable_seqscan = off
as $$
declare
  width interval := interval '1 second';
  lo timestamptz;
  hi timestamptz := high;
  middle timestamptz;
begin
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
comment on function newest_flow is 'A time, at most 10 ms too late, before which the newest flow of a range is; null when there is none';
