//! State tables in another schema than the one in use, as after `database.schema` was set or taken out: their days are
//! not known here, and would be loaded again.

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Text};

use super::state::names;
use crate::db::target::existing::quoted;
use crate::wording::counted;

#[derive(QueryableByName)]
struct Elsewhere {
    #[diesel(sql_type = Text)]
    schema: String,
    #[diesel(sql_type = Array<Text>)]
    tables: Vec<String>,
    /// The schema in use.
    #[diesel(sql_type = Text)]
    own: String,
    /// The state tables that are in it.
    #[diesel(sql_type = Array<Text>)]
    own_tables: Vec<String>,
}

const ELSEWHERE: &str = "select n.nspname::text as schema, own.schema as own, \
     array(select relname::text from pg_class where relnamespace = n.oid and relkind = 'r' and relname = any($1)) \
         as tables, \
     array(select t.relname::text from pg_class t join pg_namespace s on s.oid = t.relnamespace \
         where s.nspname = own.schema and t.relkind = 'r' and t.relname = any($1)) as own_tables \
     from (select coalesce((select s.nspname from pg_class t join pg_namespace s on s.oid = t.relnamespace \
         where t.oid = to_regclass('processed_days')), nullif(current_setting('dayfill.schema', true), ''), \
         current_schema())::text as schema) as own \
     join pg_namespace n on n.nspname <> own.schema and n.nspname !~ '^pg_' and has_schema_privilege(n.oid, 'usage') \
     join pg_class c on c.relnamespace = n.oid and c.relname = 'processed_days' and c.relkind = 'r' \
         and has_table_privilege(c.oid, 'select') \
     join pg_attribute a on a.attrelid = c.oid and a.attname = 'definition_hash' \
     where exists (select from pg_class m where m.relnamespace = n.oid and m.relname = $2) order by 1";

#[derive(QueryableByName)]
struct UnknownDays {
    #[diesel(sql_type = BigInt)]
    days: i64,
    #[diesel(sql_type = Bool)]
    is_fresh: bool,
}

/// What is left behind in other schemas, a sentence for each, with what to do. Another dayfill may have its tables
/// there by right: where days are recorded here, only those of the same datasets count.
pub(in crate::db) fn left_behind(conn: &mut PgConnection, migrations: &str) -> QueryResult<Vec<String>> {
    let elsewhere: Vec<Elsewhere> =
        diesel::sql_query(ELSEWHERE).bind::<Array<Text>, _>(names()).bind::<Text, _>(migrations).load(conn)?;
    let mut notes = Vec::new();
    for other in elsewhere {
        let table = format!("{}.processed_days", quoted(&other.schema));
        let sql = if other.own_tables.iter().any(|table| table == "processed_days") {
            format!(
                "select count(*) as days, not exists (select from processed_days) as is_fresh from {table} as other \
                 where not exists (select from processed_days) or (exists (select from processed_days as own \
                     where own.dataset = other.dataset and own.definition_hash = other.definition_hash) \
                 and not exists (select from processed_days as own \
                     where own.dataset = other.dataset and own.day = other.day))"
            )
        } else {
            format!("select count(*) as days, true as is_fresh from {table}")
        };
        match within_bounds(conn, sql) {
            Ok(UnknownDays { days, is_fresh }) if days > 0 => notes.push(other.note(days, is_fresh)),
            Ok(_) => {}
            // They are no tables of ours, and this is a note: it keeps nothing from going on.
            Err(error) => log::debug!("not looked at {table}: {error}"),
        }
    }
    Ok(notes)
}

/// Counts such days, unless somebody holds the table or it is too large for a look.
fn within_bounds(conn: &mut PgConnection, sql: String) -> QueryResult<UnknownDays> {
    conn.transaction(|conn| {
        conn.batch_execute("set local lock_timeout = '1s'; set local statement_timeout = '5s'")?;
        diesel::sql_query(sql).get_result(conn)
    })
}

impl Elsewhere {
    fn note(&self, days: i64, is_fresh: bool) -> String {
        let Self { schema, own, .. } = self;
        let days = counted(days, "recorded day");
        let older = format!(
            "the schema {schema} holds dayfill's tables too, with {days} that the tables in the schema {own} do not \
             have: dayfill loads them again; to go on with the older tables set database.schema = \"{schema}\""
        );
        if is_fresh { format!("{older}, or to move them stop dayfill and run: {}", self.moves()) } else { older }
    }

    /// The statements that put the older tables in the place of ours, which are empty.
    fn moves(&self) -> String {
        let (from, to) = (quoted(&self.schema), quoted(&self.own));
        let first = if self.own_tables.is_empty() {
            format!("create schema if not exists {to};")
        } else {
            let empty: Vec<String> = self.own_tables.iter().map(|table| format!("{to}.{table}")).collect();
            format!("drop table {};", empty.join(", "))
        };
        let moves = self.tables.iter().map(|table| format!(" alter table {from}.{table} set schema {to};"));
        first + &moves.collect::<String>()
    }
}
