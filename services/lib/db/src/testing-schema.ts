// SPDX-License-Identifier: Apache-2.0
/**
 * A schema described as text, in a stable order, from the catalogue: two databases with the same description have
 * the same tables. For the test that migrations and `schema.sql` agree.
 */
import pg from 'pg';

const QUERIES: readonly string[] = [
  `select format('column %s.%s %s%s%s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
          case when a.attnotnull then ' not null' else '' end,
          case a.attidentity when 'a' then ' identity always' when 'd' then ' identity default' else '' end,
          coalesce(case a.attgenerated when 's' then ' generated ' else ' default ' end || pg_get_expr(d.adbin, d.adrelid), '')) as line
     from pg_attribute a join pg_class c on c.oid = a.attrelid left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relnamespace = $1::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and a.attnum > 0 and not a.attisdropped
      and c.relname <> 'migrations'
    order by c.relname, a.attnum`,
  `select format('constraint %s.%s %s', c.relname, k.conname, pg_get_constraintdef(k.oid)) as line
     from pg_constraint k join pg_class c on c.oid = k.conrelid
    where k.connamespace = $1::regnamespace and c.relname <> 'migrations' and k.contype <> 'n' order by c.relname, k.conname`,
  `select format('index %s', pg_get_indexdef(i.indexrelid)) as line
     from pg_index i join pg_class c on c.oid = i.indrelid
    where c.relnamespace = $1::regnamespace and c.relname <> 'migrations' order by 1`,
  `select format('sequence %s %s %s..%s by %s', sequencename, data_type, min_value, max_value, increment_by) as line
     from pg_sequences where schemaname = $1 and sequencename not like 'migrations%' order by 1`,
  `select format('function %s %s', p.proname, md5(pg_get_functiondef(p.oid))) as line
     from pg_proc p where p.pronamespace = $1::regnamespace and p.prokind = 'f' order by 1`,
  `select format('trigger %s.%s %s', c.relname, t.tgname, pg_get_triggerdef(t.oid)) as line
     from pg_trigger t join pg_class c on c.oid = t.tgrelid
    where c.relnamespace = $1::regnamespace and not t.tgisinternal order by 1`,
  `select format('view %s %s', viewname, definition) as line from pg_views where schemaname = $1 order by 1`,
  `select format('comment %s.%s %s', c.relname, coalesce(a.attname, '*'), d.description) as line
     from pg_description d join pg_class c on c.oid = d.objoid and d.classoid = 'pg_class'::regclass
     left join pg_attribute a on a.attrelid = c.oid and a.attnum = d.objsubid and d.objsubid > 0
    where c.relnamespace = $1::regnamespace order by 1`,
];

export const schemaSnapshot = async (url: string, schema: string): Promise<string> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('set search_path = pg_catalog');
    const lines: string[] = [];
    for (const query of QUERIES) {
      const { rows } = await client.query<{ line: string }>(query, [schema]);
      lines.push(...rows.map(({ line }) => line));
    }
    return `${lines.join('\n')}\n`;
  } finally {
    await client.end();
  }
};
