//! SQLite's catalog: a target as it is there.

use diesel::SqliteConnection;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Nullable, Text};

use crate::column::{ColumnType, Identifier, TableName};
use crate::dataset::Target;
use crate::db::state_tables::{self, StateRelation};
use crate::db::target::existing::{
    ColumnRights, Computed, ExistingColumn, ExistingTable, TargetLookup, Unique, quoted,
};
use crate::db::target::reload::{Attached, OnDelete, Reference, TableTrigger};

#[derive(QueryableByName)]
struct Object {
    #[diesel(sql_type = Text)]
    kind: String,
}

#[derive(QueryableByName)]
struct TableColumn {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Bool)]
    not_null: bool,
    #[diesel(sql_type = Bool)]
    has_default: bool,
    #[diesel(sql_type = Integer)]
    pk: i32,
    #[diesel(sql_type = Integer)]
    hidden: i32,
}

/// What the catalog has of a target's name. SQLite knows no case in names.
pub(in crate::db) fn find_target(conn: &mut SqliteConnection, target: &Target) -> QueryResult<TargetLookup> {
    let table = &target.table;
    let object: Option<Object> =
        diesel::sql_query("select type as kind from sqlite_master where type <> 'trigger' and lower(name) = lower(?)")
            .bind::<Text, _>(table.name.as_str())
            .get_result(conn)
            .optional()?;
    let Some(object) = object else { return Ok(TargetLookup::Nothing { hindrances: Vec::new() }) };
    let no_target = match object.kind.as_str() {
        "table" => None,
        "view" => Some("it is a view: name the table behind it in target.table".to_owned()),
        other => Some(format!("it is an {other}: name a table in target.table")),
    };
    let all: Vec<TableColumn> = diesel::sql_query(
        "select name, type as kind, \"notnull\" as not_null, dflt_value is not null as has_default, pk, hidden \
         from pragma_table_xinfo(?)",
    )
    .bind::<Text, _>(table.name.as_str())
    .load(conn)?;
    let mut uniques = uniques(conn, table)?;
    // `pk` is the place in the key, which the index has, too.
    let mut primary: Vec<_> = all.iter().filter(|column| column.pk > 0).collect();
    primary.sort_by_key(|column| column.pk);
    let primary: Vec<String> = primary.into_iter().map(|column| column.name.clone()).collect();
    if !primary.is_empty() {
        uniques.insert(0, unique(primary, true));
    }
    let numbered = |column: &TableColumn| {
        // The one integer key of a table fills itself.
        column.pk == 1 && column.kind.eq_ignore_ascii_case("integer") && all.iter().filter(|c| c.pk > 0).count() == 1
    };
    let columns: Vec<ExistingColumn> = all
        .iter()
        .map(|column| ExistingColumn {
            // SQLite takes any value in any column.
            takes: ColumnType::ALL.to_vec(),
            takes_days: true,
            has_default: column.has_default,
            is_identity: numbered(column),
            // 2 and 3 are columns that are computed when they are read, and when they are written.
            computed: (column.hidden > 1).then_some(Computed::Expression),
            name: column.name.clone(),
            kind: column.kind.clone(),
            not_null: column.not_null,
            may: ColumnRights { select: true, insert: true, update: true },
            used_by: Vec::new(),
        })
        .collect();
    let has_day = columns.iter().any(|column| column.name.eq_ignore_ascii_case(target.day_column.as_str()));
    let odd_day = if no_target.is_none() && has_day { odd_day(conn, target)? } else { None };
    Ok(TargetLookup::ExistingTable(Box::new(ExistingTable {
        no_target,
        columns,
        uniques,
        names_have_case: false,
        odd_day,
        server: None,
    })))
}

fn unique(columns: Vec<String>, primary: bool) -> Unique {
    Unique { columns, primary, constraint: None, deferrable: false, referenced_by: Vec::new() }
}

#[derive(QueryableByName)]
struct IndexColumn {
    #[diesel(sql_type = Text)]
    index_name: String,
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
}

/// The unique indexes that hold for all rows, but for the primary key's.
fn uniques(conn: &mut SqliteConnection, table: &TableName) -> QueryResult<Vec<Unique>> {
    let columns: Vec<IndexColumn> = diesel::sql_query(
        "select l.name as index_name, i.name from pragma_index_list(?) as l, pragma_index_info(l.name) as i \
         where l.\"unique\" and not l.partial and l.origin <> 'pk' order by l.seq, i.seqno",
    )
    .bind::<Text, _>(table.name.as_str())
    .load(conn)?;
    let indexes = columns.chunk_by(|one, other| one.index_name == other.index_name);
    // An expression has no name.
    let named = indexes.filter_map(|index| index.iter().map(|column| column.name.clone()).collect::<Option<Vec<_>>>());
    Ok(named.map(|columns| unique(columns, false)).collect())
}

#[derive(QueryableByName)]
struct SampleValue {
    #[diesel(sql_type = Text)]
    value: String,
}

/// A value among the table's first rows that is not written as dayfill writes and compares days, whatever the column's
/// type is called.
fn odd_day(conn: &mut SqliteConnection, target: &Target) -> QueryResult<Option<String>> {
    let day = target.day_column.quoted();
    let odd: Option<SampleValue> = diesel::sql_query(format!(
        "select quote(day) as value from (select {day} as day from {} limit 1000) \
         where day is not null and (typeof(day) <> 'text' or day not glob '{}') limit 1",
        target.table.quoted(),
        "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
    ))
    .get_result(conn)
    .optional()?;
    Ok(odd.map(|odd| odd.value))
}

#[derive(QueryableByName)]
struct AttachedObject {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    action: String,
    #[diesel(sql_type = Bool)]
    may_forbid: bool,
}

/// What hangs on to the rows of a table: triggers that run when a row is deleted, and foreign keys.
pub(in crate::db) fn attached(conn: &mut SqliteConnection, table: &TableName) -> QueryResult<Attached> {
    let hanging: Vec<AttachedObject> = diesel::sql_query(
        "select m.name, lower(f.on_delete) as action, false as may_forbid \
         from sqlite_master as m, pragma_foreign_key_list(m.name) as f \
         where m.type = 'table' and lower(f.\"table\") = lower(?) \
         union all select name, 'trigger', sql like '%raise%(%' from sqlite_master \
         where type = 'trigger' and lower(tbl_name) = lower(?) and lower(sql) like '%delete%on%' order by 1",
    )
    .bind::<Text, _>(table.name.as_str())
    .bind::<Text, _>(table.name.as_str())
    .load(conn)?;
    let (triggers, references): (Vec<_>, Vec<_>) = hanging.into_iter().partition(|found| found.action == "trigger");
    let on_delete = |action: &str| match action {
        "cascade" => OnDelete::Cascade,
        "set null" | "set default" => OnDelete::Clear,
        _ => OnDelete::Refuse,
    };
    Ok(Attached {
        references: references
            .into_iter()
            .map(|found| Reference { on_delete: on_delete(&found.action), table: found.name })
            .collect(),
        triggers: triggers.into_iter().map(trigger).collect(),
    })
}

fn trigger(found: AttachedObject) -> TableTrigger {
    let turn_off = format!("drop trigger {};", quoted(&found.name));
    TableTrigger { name: found.name, may_forbid: found.may_forbid, turn_off }
}

#[derive(QueryableByName)]
struct ColumnCollation {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    collation: String,
}

/// Expressions for columns of the stage that compare as the target's columns of these names do: by the collations of
/// its primary key and its other unique indexes.
pub(in crate::db) fn comparing_as_target(
    conn: &mut SqliteConnection,
    table: &TableName,
    key: &[Identifier],
) -> QueryResult<Vec<String>> {
    let columns: Vec<ColumnCollation> = diesel::sql_query(
        "select x.name, x.coll as collation from pragma_index_list(?) as l, pragma_index_xinfo(l.name) as x \
         where l.\"unique\" and x.key and x.name is not null order by l.origin <> 'pk'",
    )
    .bind::<Text, _>(table.name.as_str())
    .load(conn)?;
    let as_target = |name: &Identifier| {
        let quoted = name.quoted();
        match columns.iter().find(|column| column.name.eq_ignore_ascii_case(name.as_str())) {
            None => quoted,
            Some(column) => format!("{quoted} collate \"{}\"", column.collation),
        }
    };
    Ok(key.iter().map(as_target).collect())
}

/// Which of the state tables' names are taken.
pub(in crate::db) fn state_relations(conn: &mut SqliteConnection) -> QueryResult<Vec<StateRelation>> {
    let mut relations = Vec::new();
    for name in state_tables::names() {
        let found: Option<Object> =
            diesel::sql_query("select type as kind from sqlite_master where type <> 'trigger' and lower(name) = ?")
                .bind::<Text, _>(name)
                .get_result(conn)
                .optional()?;
        let found_in = found.as_ref().map(|_| "main".to_owned());
        relations.push(StateRelation { name: name.to_owned(), found_in, in_the_way: found.is_some() });
    }
    Ok(relations)
}
