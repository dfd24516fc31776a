//! PostgreSQL's catalog: a target as it is there.

use diesel::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Nullable, Oid, Text};

use crate::column::{ColumnType, Identifier, TableName};
use crate::db::state_tables;
use crate::db::target::existing::{
    ColumnRights, Computed, ExistingColumn, ExistingTable, OnServer, TargetLookup, Unique, quoted,
};
use crate::db::target::reload::{Attached, OnDelete, Reference, TableTrigger};

#[derive(QueryableByName)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of the catalog's, and any of them go together")]
struct CatalogRelation {
    #[diesel(sql_type = Oid)]
    oid: u32,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    schema: String,
    #[diesel(sql_type = Bool)]
    may_enter: bool,
    #[diesel(sql_type = Bool)]
    in_state_schema: bool,
    #[diesel(sql_type = Text)]
    owner: String,
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Bool)]
    is_owner: bool,
    #[diesel(sql_type = Bool)]
    may_delete: bool,
    #[diesel(sql_type = Bool)]
    unlogged: bool,
    #[diesel(sql_type = Bool)]
    row_security: bool,
    #[diesel(sql_type = Bool)]
    row_security_forced: bool,
    #[diesel(sql_type = Array<Text>)]
    rules: Vec<String>,
    #[diesel(sql_type = Nullable<Array<Nullable<Text>>>)]
    partitioned_by: Option<Vec<Option<String>>>,
}

/// `to_regclass` would fail where the role may not enter the schema, and say nothing of the table.
const RELATION: &str = "select c.oid, c.relkind::text as kind, n.nspname::text as schema, \
     has_schema_privilege(n.oid, 'usage') as may_enter, \
     coalesce(n.nspname = current_setting('dayfill.schema', true), false) as in_state_schema, \
     pg_get_userbyid(c.relowner)::text as owner, current_user::text as role, \
     pg_has_role(c.relowner, 'usage') as is_owner, has_table_privilege(c.oid, 'delete') as may_delete, \
     c.relpersistence = 'u' as unlogged, c.relkind in ('r', 'p') and row_security_active(c.oid) as row_security, \
     c.relforcerowsecurity as row_security_forced, \
     array(select rulename::text from pg_rewrite where ev_class = c.oid and ev_type <> '1' and ev_enabled <> 'D' \
         order by 1) as rules, \
     (select array(select a.attname::text from unnest(p.partattrs::int2[]) with ordinality as k (number, place) \
             left join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number and k.number <> 0 order by k.place) \
         from pg_partitioned_table p where p.partrelid = c.oid) as partitioned_by \
     from pg_class c join pg_namespace n on n.oid = c.relnamespace \
     where c.oid = case when $1 is null then to_regclass(quote_ident($2))::oid else (\
         select t.oid from pg_class t join pg_namespace s on s.oid = t.relnamespace \
         where s.nspname = $1 and t.relname = $2) end";

/// What the catalog has of a target's name.
pub(in crate::db) fn find_target(conn: &mut PgConnection, table: &TableName) -> QueryResult<TargetLookup> {
    let relation: Option<CatalogRelation> = diesel::sql_query(RELATION)
        .bind::<Nullable<Text>, _>(table.schema.as_ref().map(Identifier::as_str))
        .bind::<Text, _>(table.name.as_str())
        .get_result(conn)
        .optional()?;
    let Some(relation) = relation else {
        return Ok(TargetLookup::Nothing { hindrances: hindrances(conn, table)? });
    };
    let columns = columns(conn, relation.oid)?;
    let uniques = uniques(conn, relation.oid)?;
    Ok(TargetLookup::ExistingTable(Box::new(ExistingTable {
        no_target: no_target(&relation, table),
        columns,
        uniques,
        names_have_case: true,
        odd_day: None,
        server: Some(OnServer {
            owner: relation.owner,
            role: relation.role,
            is_owner: relation.is_owner,
            may_delete: relation.may_delete,
            unlogged: relation.unlogged,
            row_security: relation.row_security,
            row_security_forced: relation.row_security_forced,
            rules: relation.rules,
            partitioned_by: relation.partitioned_by,
        }),
    })))
}

fn no_target(relation: &CatalogRelation, table: &TableName) -> Option<String> {
    let CatalogRelation { schema, role, .. } = relation;
    if !relation.may_enter {
        let grant = format!("grant usage on schema {} to {};", quoted(schema), quoted(role));
        return Some(format!("the role {role} may not use the schema {schema}: {grant}"));
    }
    if schema == "pg_catalog" || schema == "information_schema" {
        return Some("it is PostgreSQL's own: load into a table of your own".to_owned());
    }
    if relation.in_state_schema && state_tables::is_own(table.name.as_str()) {
        return Some("it is dayfill's own: load into a table of another name or schema".to_owned());
    }
    let (is, way) = match relation.kind.as_str() {
        "r" | "p" => return None,
        "v" => ("a view", "name the table behind it in target.table"),
        "m" => ("a materialized view", "name a table in target.table, and refresh the view after loads"),
        "f" => (
            "a foreign table, which a transaction of this database does not hold",
            "name a table of this database in target.table",
        ),
        "i" | "I" => ("an index", "name a table in target.table"),
        "S" => ("a sequence", "name a table in target.table"),
        _ => ("no table", "name a table in target.table"),
    };
    Some(format!("it is {is}: {way}"))
}

#[derive(QueryableByName)]
struct TableLocation {
    #[diesel(sql_type = Nullable<Text>)]
    schema: Option<String>,
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Bool)]
    may_create: bool,
    #[diesel(sql_type = Nullable<Text>)]
    other_case: Option<String>,
}

/// Why a table that is not there cannot be created. One of the very same name has come meanwhile, from another process, and
/// is none: it is looked at again before anything is created.
fn hindrances(conn: &mut PgConnection, table: &TableName) -> QueryResult<Vec<String>> {
    let place: TableLocation = diesel::sql_query(
        "select n.nspname::text as schema, current_user::text as role, \
         coalesce(has_schema_privilege(n.oid, 'create') and has_schema_privilege(n.oid, 'usage'), false) as may_create, \
         (select c.relname::text from pg_class c where c.relnamespace = n.oid and c.relkind in ('r', 'p') \
             and lower(c.relname) = lower($2) and c.relname <> $2 limit 1) as other_case \
         from (select) as one left join pg_namespace n on n.nspname = coalesce($1, current_schema())",
    )
    .bind::<Nullable<Text>, _>(table.schema.as_ref().map(Identifier::as_str))
    .bind::<Text, _>(table.name.as_str())
    .get_result(conn)?;
    let role = quoted(&place.role);
    let mut hindrances = Vec::new();
    match (&place.schema, &table.schema) {
        (Some(schema), _) if !place.may_create => hindrances.push(format!(
            "the role {} may not create tables in the schema {schema}: grant usage, create on schema {} to {role};",
            place.role,
            quoted(schema)
        )),
        (Some(_), _) => {}
        (None, Some(schema)) => hindrances.push(format!(
            "the schema {schema} does not exist: create schema {} authorization {role};",
            schema.quoted()
        )),
        (None, None) => hindrances.push(format!(
            "no schema of the search path exists: write target.table with its schema, or alter role {role} set \
             search_path = public;"
        )),
    }
    if let Some(other) = &place.other_case {
        hindrances.push(format!(
            "there is a table {other}, and PostgreSQL tells the two names apart: write {other} in target.table, or \
             alter table {}{} rename to {};",
            table.schema.as_ref().map_or_else(String::new, |schema| format!("{}.", schema.quoted())),
            quoted(other),
            table.name.quoted()
        ));
    }
    Ok(hindrances)
}

#[derive(QueryableByName)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of the catalog's, and any of them go together")]
struct CatalogColumn {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    /// The type with its length or precision; that behind a domain.
    #[diesel(sql_type = Text)]
    full: String,
    /// The type without them.
    #[diesel(sql_type = Text)]
    base: String,
    #[diesel(sql_type = Bool)]
    not_null: bool,
    #[diesel(sql_type = Bool)]
    has_default: bool,
    #[diesel(sql_type = Bool)]
    generated: bool,
    #[diesel(sql_type = Text)]
    identity: String,
    #[diesel(sql_type = Bool)]
    may_select: bool,
    #[diesel(sql_type = Bool)]
    may_insert: bool,
    #[diesel(sql_type = Bool)]
    may_update: bool,
    #[diesel(sql_type = Array<Text>)]
    used_by: Vec<String>,
}

fn columns(conn: &mut PgConnection, table: u32) -> QueryResult<Vec<ExistingColumn>> {
    let columns: Vec<CatalogColumn> = diesel::sql_query(
        "select attname::text as name, format_type(atttypid, atttypmod) as kind, \
         case t.typtype when 'd' then format_type(t.typbasetype, t.typtypmod) \
             else format_type(atttypid, atttypmod) end as \"full\", \
         format_type(case t.typtype when 'd' then t.typbasetype else atttypid end, null) as base, \
         attnotnull as not_null, atthasdef and attgenerated = '' as has_default, attgenerated <> '' as generated, \
         attidentity::text as identity, has_column_privilege(attrelid, attnum, 'select') as may_select, \
         has_column_privilege(attrelid, attnum, 'insert') as may_insert, \
         has_column_privilege(attrelid, attnum, 'update') as may_update, \
         array(select distinct r.ev_class::regclass::text from pg_depend d join pg_rewrite r on r.oid = d.objid \
             where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass \
             and d.refobjid = attrelid and d.refobjsubid = attnum and r.ev_class <> attrelid order by 1) as used_by \
         from pg_attribute join pg_type t on t.oid = atttypid \
         where attrelid = $1 and attnum > 0 and not attisdropped order by attnum",
    )
    .bind::<Oid, _>(table)
    .load(conn)?;
    let columns = columns.into_iter().map(|column| ExistingColumn {
        takes: taken_types(&column.base, &column.full),
        takes_days: column.base == "date",
        name: column.name,
        kind: column.kind,
        not_null: column.not_null,
        has_default: column.has_default,
        is_identity: !column.identity.is_empty(),
        computed: match (column.generated, column.identity.as_str()) {
            (true, _) => Some(Computed::Expression),
            (false, "a") => Some(Computed::Identity),
            _ => None,
        },
        may: ColumnRights { select: column.may_select, insert: column.may_insert, update: column.may_update },
        used_by: column.used_by,
    });
    Ok(columns.collect())
}

#[derive(QueryableByName)]
struct CatalogUnique {
    #[diesel(sql_type = Array<Text>)]
    columns: Vec<String>,
    #[diesel(sql_type = Bool)]
    is_primary: bool,
    #[diesel(sql_type = Bool)]
    immediate: bool,
    #[diesel(sql_type = Nullable<Text>)]
    constraint_name: Option<String>,
    #[diesel(sql_type = Array<Text>)]
    referenced_by: Vec<String>,
}

fn uniques(conn: &mut PgConnection, table: u32) -> QueryResult<Vec<Unique>> {
    let uniques: Vec<CatalogUnique> = diesel::sql_query(
        "select i.indisprimary as is_primary, i.indimmediate as immediate, n.conname::text as constraint_name, \
         array(select a.attname::text from unnest(i.indkey::int2[]) with ordinality as k (number, place) \
             join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number \
             where k.place <= i.indnkeyatts order by k.place) as columns, \
         array(select distinct f.conrelid::regclass::text from pg_constraint f \
             where f.contype = 'f' and f.conindid = i.indexrelid order by 1) as referenced_by \
         from pg_index i left join pg_constraint n on n.conindid = i.indexrelid and n.contype in ('p', 'u') \
         where i.indrelid = $1 and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null \
         order by i.indisprimary desc, i.indexrelid",
    )
    .bind::<Oid, _>(table)
    .load(conn)?;
    let uniques = uniques.into_iter().map(|unique| Unique {
        columns: unique.columns,
        primary: unique.is_primary,
        constraint: unique.constraint_name,
        deferrable: !unique.immediate,
        referenced_by: unique.referenced_by,
    });
    Ok(uniques.collect())
}

#[derive(QueryableByName)]
struct AttachedRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    action: String,
    #[diesel(sql_type = Bool)]
    may_forbid: bool,
}

/// What hangs on to the rows of a table: triggers that run when a row is deleted (bit 8 of `tgtype`), and foreign keys.
pub(in crate::db) fn attached(conn: &mut PgConnection, table: &TableName) -> QueryResult<Attached> {
    let hanging: Vec<AttachedRow> = diesel::sql_query(
        "select conrelid::regclass::text as name, confdeltype::text as action, false as may_forbid from pg_constraint \
         where contype = 'f' and confrelid = to_regclass($1) and conparentid = 0 \
         union all select t.tgname::text, 'trigger', p.prosrc ~* 'raise\\s+(exception|using|sqlstate|'')' \
             or (t.tgtype & 3 = 3 and p.prosrc ~* 'return\\s+null') \
         from pg_trigger t join pg_proc p on p.oid = t.tgfoid \
         where t.tgrelid = to_regclass($1) and not t.tgisinternal and t.tgenabled <> 'D' and t.tgtype & 8 <> 0 \
         order by 1",
    )
    .bind::<Text, _>(table.quoted())
    .load(conn)?;
    let (triggers, references): (Vec<_>, Vec<_>) = hanging.into_iter().partition(|found| found.action == "trigger");
    let on_delete = |action: &str| match action {
        "c" => OnDelete::Cascade,
        "n" | "d" => OnDelete::Clear,
        _ => OnDelete::Refuse,
    };
    Ok(Attached {
        references: references
            .into_iter()
            .map(|found| Reference { on_delete: on_delete(&found.action), table: found.name })
            .collect(),
        triggers: triggers.into_iter().map(|found| trigger(found, table)).collect(),
    })
}

fn trigger(found: AttachedRow, table: &TableName) -> TableTrigger {
    let turn_off = format!("alter table {} disable trigger {};", table.quoted(), quoted(&found.name));
    TableTrigger { name: found.name, may_forbid: found.may_forbid, turn_off }
}

#[derive(QueryableByName)]
struct ComparedColumn {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Nullable<Text>)]
    collation: Option<String>,
}

/// Expressions for columns of the stage that compare as the target's columns of these names do: by its types
/// (`citext`) and collations.
pub(in crate::db) fn comparing_as_target(
    conn: &mut PgConnection,
    table: &TableName,
    key: &[Identifier],
) -> QueryResult<Vec<String>> {
    let columns: Vec<ComparedColumn> = diesel::sql_query(
        "select a.attname::text as name, \
         format_type(case t.typtype when 'd' then t.typbasetype else a.atttypid end, null) as kind, \
         case when l.oid is not null then quote_ident(n.nspname) || '.' || quote_ident(l.collname) end as collation \
         from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_collation l on l.oid = a.attcollation \
         left join pg_namespace n on n.oid = l.collnamespace \
         where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped",
    )
    .bind::<Text, _>(table.quoted())
    .load(conn)?;
    let as_target = |name: &Identifier| {
        let quoted = name.quoted();
        match columns.iter().find(|column| column.name == name.as_str()) {
            None => quoted,
            Some(ComparedColumn { kind, collation: None, .. }) => format!("{quoted}::{kind}"),
            Some(ComparedColumn { kind, collation: Some(collation), .. }) => {
                format!("{quoted}::{kind} collate {collation}")
            }
        }
    };
    Ok(key.iter().map(as_target).collect())
}

/// The dataset types whose every value a column of this type takes unchanged: the type itself and the narrower ones.
/// `base` is the type without its length or precision. A `varchar(n)` refuses what is too long and is let pass; a
/// `numeric(p, s)` would round silently and is not.
fn taken_types(base: &str, full: &str) -> Vec<ColumnType> {
    use ColumnType as T;
    match base {
        "text" | "character varying" | "citext" => T::ALL.to_vec(),
        "boolean" => vec![T::Boolean],
        "integer" => vec![T::Integer],
        "bigint" => vec![T::Integer, T::Bigint],
        "double precision" => vec![T::Integer, T::Double],
        "numeric" if full == base => vec![T::Integer, T::Bigint, T::Numeric],
        "date" => vec![T::Date],
        "timestamp without time zone" => vec![T::Date, T::Timestamp],
        "timestamp with time zone" => vec![T::Date, T::Timestamp, T::Timestamptz],
        "uuid" => vec![T::Uuid],
        "jsonb" | "json" => vec![T::Json],
        _ => Vec::new(),
    }
}
