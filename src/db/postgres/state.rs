//! PostgreSQL's catalog: the state tables as they are there, and what a session of the role may do with them.

use diesel::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Nullable, Text};

use crate::db::state_tables::{self, MIGRATIONS, StateRelation};
use crate::db::target::existing::quoted;

#[derive(QueryableByName)]
struct RelationRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Nullable<Text>)]
    found_in: Option<String>,
    #[diesel(sql_type = Bool)]
    in_the_way: bool,
}

/// Which of the state tables' names are taken, and where.
pub(in crate::db) fn state_relations(conn: &mut PgConnection) -> QueryResult<Vec<StateRelation>> {
    let names: Vec<RelationRow> = diesel::sql_query(
        "select name, n.nspname::text as found_in, exists (\
             select from pg_class o join pg_namespace s on s.oid = o.relnamespace \
             where s.nspname = current_schema() and o.relname = name) as in_the_way \
         from unnest($1) as name left join pg_class c on c.oid = to_regclass(name) \
         left join pg_namespace n on n.oid = c.relnamespace",
    )
    .bind::<Array<Text>, _>(names())
    .load(conn)?;
    let relation =
        |named: RelationRow| StateRelation { name: named.name, found_in: named.found_in, in_the_way: named.in_the_way };
    Ok(names.into_iter().map(relation).collect())
}

pub(super) fn names() -> Vec<&'static str> {
    state_tables::names().collect()
}

#[derive(QueryableByName)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of the catalog's, and any of them go together")]
struct SessionRights {
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Text)]
    database: String,
    #[diesel(sql_type = Bool)]
    standby: bool,
    #[diesel(sql_type = Bool)]
    read_only: bool,
    #[diesel(sql_type = Text)]
    read_only_by: String,
    #[diesel(sql_type = Bool)]
    temporary: bool,
    #[diesel(sql_type = Text)]
    named: String,
    #[diesel(sql_type = Bool)]
    exists: bool,
    #[diesel(sql_type = Bool)]
    may_enter: bool,
    #[diesel(sql_type = Bool)]
    may_create_schema: bool,
    #[diesel(sql_type = Nullable<Text>)]
    schema: Option<String>,
    #[diesel(sql_type = Bool)]
    may_create: bool,
    #[diesel(sql_type = Array<Text>)]
    others: Vec<String>,
    #[diesel(sql_type = Array<Text>)]
    unwritable: Vec<String>,
    #[diesel(sql_type = Bool)]
    unreadable: bool,
}

const SESSION: &str = "select current_user::text as role, current_database()::text as database, \
     pg_is_in_recovery() as standby, current_setting('transaction_read_only') = 'on' as read_only, \
     (select source from pg_settings where name = 'default_transaction_read_only') as read_only_by, \
     has_database_privilege(current_database(), 'temporary') as temporary, named, \
     exists (select from pg_namespace where nspname = named) as exists, \
     coalesce((select has_schema_privilege(oid, 'usage') from pg_namespace where nspname = named), true) as may_enter, \
     has_database_privilege(current_database(), 'create') as may_create_schema, current_schema()::text as schema, \
     coalesce(has_schema_privilege(current_schema(), 'create'), false) as may_create, \
     array(select distinct pg_get_userbyid(c.relowner)::text from unnest($1) as name \
         join pg_class c on c.oid = to_regclass(name) where not pg_has_role(c.relowner, 'usage')) as others, \
     array(select name from unnest($1) as name join pg_class c on c.oid = to_regclass(name) \
         where name <> $2 and not (has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert') \
         and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete'))) as unwritable, \
     coalesce(not has_table_privilege(to_regclass($2)::oid, 'select'), false) as unreadable \
     from (select coalesce(current_setting('dayfill.schema', true), '') as named) as setting";

/// What keeps a session of the role from working with the state tables, each with what to do; `pending` when migrations
/// are to be applied.
pub(in crate::db) fn problems(conn: &mut PgConnection, pending: bool) -> QueryResult<Vec<String>> {
    let tables: Vec<&str> = if pending { names() } else { state_tables::current_names().collect() };
    let session: SessionRights =
        diesel::sql_query(SESSION).bind::<Array<Text>, _>(tables).bind::<Text, _>(MIGRATIONS).get_result(conn)?;
    if session.standby {
        return Ok(vec![
            "the server is a standby, which takes no writes: name the primary in database.url, or all servers with \
             target_session_attrs=read-write"
                .to_owned(),
        ]);
    }
    let mut problems = Vec::new();
    let (role, database) = (quoted(&session.role), quoted(&session.database));
    if session.read_only {
        problems.push(session.read_only());
    }
    if !session.temporary {
        problems.push(format!(
            "the role {} may not create temporary tables, which take a day's rows first: grant temporary on database \
             {database} to {role};",
            session.role
        ));
    }
    if session.unreadable {
        problems.push(format!(
            "the role {} may not read {MIGRATIONS}: grant select on {} to {role};",
            session.role,
            session.own(MIGRATIONS)
        ));
    }
    if !session.unwritable.is_empty() {
        let tables: Vec<String> = session.unwritable.iter().map(|table| session.own(table)).collect();
        problems.push(format!(
            "the role {} may not read and write dayfill's own tables: grant select, insert, update, delete on {} to {role};",
            session.role,
            tables.join(", ")
        ));
    }
    if pending {
        problems.extend(session.cannot_create());
    }
    Ok(problems)
}

impl SessionRights {
    /// A state table as a session without our search path names it.
    fn own(&self, table: &str) -> String {
        if self.named.is_empty() { table.to_owned() } else { format!("{}.{table}", quoted(&self.named)) }
    }

    fn read_only(&self) -> String {
        let (role, database) = (quoted(&self.role), quoted(&self.database));
        let change = match self.read_only_by.as_str() {
            "user" => format!("alter role {role} reset default_transaction_read_only;"),
            "database" => format!("alter database {database} reset default_transaction_read_only;"),
            "database user" => {
                format!("alter role {role} in database {database} reset default_transaction_read_only;")
            }
            "client" => "take default_transaction_read_only out of database.url's options".to_owned(),
            _ => format!("alter role {role} set default_transaction_read_only = off;"),
        };
        format!("sessions are read-only by default_transaction_read_only: {change}")
    }

    /// Why migrations cannot be applied.
    fn cannot_create(&self) -> Option<String> {
        let role = quoted(&self.role);
        let (what, change) = if !self.others.is_empty() {
            let owners = self.others.join(", ");
            return Some(format!(
                "dayfill's own tables are older than this version, and their owner is {owners}: run `dayfill migrate` \
                 once with that role in database.url"
            ));
        } else if !self.named.is_empty() && !self.exists {
            if self.may_create_schema {
                return None;
            }
            let schema = quoted(&self.named);
            (format!("create the schema {}", self.named), format!("create schema {schema} authorization {role};"))
        } else if !self.may_enter {
            (
                format!("use the schema {}", self.named),
                format!("grant usage, create on schema {} to {role};", quoted(&self.named)),
            )
        } else {
            match &self.schema {
                None => {
                    return Some(
                        "no schema of the search path exists or may be used by the role: set database.schema to a \
                         schema for dayfill's own tables"
                            .to_owned(),
                    );
                }
                Some(_) if self.may_create => return None,
                Some(schema) => (
                    format!("create dayfill's own tables in the schema {schema}"),
                    format!("grant create on schema {} to {role};", quoted(schema)),
                ),
            }
        };
        Some(format!("the role {} may not {what}: {change}", self.role))
    }
}
