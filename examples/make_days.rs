//! Writes made-up days: CSV files of the shape that `sample/` holds, of any size, always the same for the same
//! arguments.
//!
//! ```text
//! cargo run --example make_days -- --from 2019-04-01 --to 2019-04-07 --without 2019-04-03 --rows 1000 --seed 1 \
//!     --out sample
//! ```
//!
//! Every row is invented: the shops' names are put together from the list of words below, under a top-level domain that
//! is reserved for examples. What is kept from real exports is their shape: 22 columns, an empty `application_id` in
//! one row of nineteen, `N/A` in one `nbr_metafields` of nine, quoted lists, `True` and `False`, an `id` that no other
//! row of the day has, and LF at the end of each line.
//!
//! `--clean` writes the same rows as somebody would prepare them by hand for `\copy`: without those that have no
//! `application_id`, with null as an empty field, and with the two columns that a load derives. The benchmark's rival
//! reads these files.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use chrono::NaiveDate;
use clap::Parser;
use csv::ByteRecord;

/// The header of a day.
const COLUMNS: [&str; 22] = [
    "id",
    "shop_domain",
    "application_id",
    "autocomplete_enabled",
    "user_created_at_least_one_qr",
    "nbr_merchandised_queries",
    "nbrs_pinned_items",
    "showing_logo",
    "has_changed_sort_orders",
    "analytics_enabled",
    "use_metafields",
    "nbr_metafields",
    "use_default_colors",
    "show_products",
    "instant_search_enabled",
    "instant_search_enabled_on_collection",
    "only_using_faceting_on_collection",
    "use_merchandising_for_collection",
    "index_prefix",
    "indexing_paused",
    "install_channel",
    "export_date",
];

/// What follows them in a clean file.
const DERIVED: [&str; 2] = ["has_specific_prefix", "file_date"];

/// What the names of shops and indices are made of.
const WORDS: [&str; 128] = [
    "acorn", "amber", "anchor", "apple", "arrow", "aspen", "autumn", "badger", "bakery", "bamboo", "barley", "basket",
    "beacon", "berry", "birch", "blanket", "blossom", "bottle", "bramble", "breeze", "bridge", "bronze", "brook",
    "button", "cabin", "candle", "canvas", "cedar", "cherry", "chestnut", "cinder", "citrus", "clover", "cobalt",
    "copper", "coral", "cotton", "cradle", "crimson", "crystal", "daisy", "dapple", "delta", "denim", "dune", "ember",
    "fable", "falcon", "feather", "fern", "fiddle", "flint", "forest", "fox", "garden", "garnet", "ginger", "glacier",
    "granite", "grove", "harbor", "harvest", "hazel", "heather", "heron", "hollow", "honey", "indigo", "island",
    "ivory", "jasmine", "juniper", "kettle", "lagoon", "lantern", "lark", "laurel", "lemon", "lilac", "linen", "lotus",
    "lumen", "magnet", "mango", "maple", "marble", "meadow", "mill", "mint", "moss", "nectar", "nettle", "nutmeg",
    "oak", "ocean", "olive", "onyx", "opal", "orchard", "otter", "paper", "pebble", "pepper", "pine", "plum", "poppy",
    "prairie", "quartz", "quill", "raven", "reed", "river", "robin", "saffron", "sage", "sail", "silver", "slate",
    "spruce", "summit", "thistle", "timber", "tulip", "velvet", "walnut", "willow", "winter", "wren",
];

/// Writes made-up days, always the same for the same arguments
#[derive(Debug, Parser)]
struct Args {
    /// The first day
    #[arg(long, value_name = "DAY")]
    from: NaiveDate,
    /// The last day
    #[arg(long, value_name = "DAY")]
    to: NaiveDate,
    /// A day to leave out; may be given more than once
    #[arg(long, value_name = "DAY")]
    without: Vec<NaiveDate>,
    /// About how many rows a day has
    #[arg(long, default_value_t = 1000)]
    rows: u64,
    /// Give every day exactly that many rows, rather than up to 5% more or less
    #[arg(long)]
    exact: bool,
    /// Another seed gives other rows
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The folder to write to, made if it is not there
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Write the rows as a load would leave them in the table
    #[arg(long)]
    clean: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    ensure!(args.from <= args.to, "--from {} is after --to {}", args.from, args.to);
    fs::create_dir_all(&args.out).with_context(|| format!("Failed to create {}", args.out.display()))?;
    for day in args.from.iter_days().take_while(|day| *day <= args.to).filter(|day| !args.without.contains(day)) {
        let path = args.out.join(format!("{day}.csv"));
        let file = File::create(&path).with_context(|| format!("Failed to create {}", path.display()))?;
        let rows = write_day(&args, day, file).with_context(|| format!("Failed to write {}", path.display()))?;
        println!("{}: {rows} rows", path.display());
    }
    Ok(())
}

/// Writes one day, and tells how many rows it has.
fn write_day(args: &Args, day: NaiveDate, to: impl Write) -> Result<u64, csv::Error> {
    let mut random = Random::of_day(args.seed, day);
    let rows = if args.exact { args.rows } else { random.about(args.rows) };
    let date = day.to_string();
    let mut csv = csv::WriterBuilder::new().buffer_capacity(256 * 1024).from_writer(to);
    let mut record = ByteRecord::new();
    record.extend(COLUMNS);
    if args.clean {
        record.extend(DERIVED);
    }
    csv.write_byte_record(&record)?;

    let mut written = 0;
    for number in 0..rows {
        let row = Row::invent(&mut random, number);
        if args.clean && row.application_id.is_empty() {
            continue;
        }
        row.fill(&mut record, &date, args.clean);
        csv.write_byte_record(&record)?;
        written += 1;
    }
    csv.flush()?;
    Ok(written)
}

/// A made-up row.
#[expect(clippy::struct_excessive_bools, reason = "the exports have that many columns of True and False")]
struct Row {
    id: String,
    shop_domain: String,
    application_id: String,
    autocomplete: bool,
    pinned: Vec<u64>,
    logo: bool,
    sort_orders: bool,
    analytics: bool,
    metafields: bool,
    nbr_metafields: Option<u64>,
    default_colors: bool,
    products: bool,
    instant_search: bool,
    on_collection: bool,
    only_faceting: bool,
    merchandising: bool,
    index_prefix: String,
    paused: bool,
    listed: bool,
}

impl Row {
    /// Invents one; the chances are those of a real export. `number` only serves to make the id unique.
    fn invent(random: &mut Random, number: u64) -> Self {
        let merchandised = if random.chance(54) { 1 + random.below(3) * random.below(5) } else { 0 };
        let instant_search = random.chance(530);
        let on_collection = instant_search && random.chance(200);
        Self {
            id: random.uuid(number),
            shop_domain: format!("{}-{}-{}.myshop.example", random.word(), random.word(), random.word()),
            application_id: if random.chance(53) { String::new() } else { random.application_id() },
            autocomplete: random.chance(960),
            pinned: (0..merchandised).map(|_| 1 + random.below(8)).collect(),
            logo: random.chance(556),
            sort_orders: random.chance(630),
            analytics: random.chance(65),
            metafields: random.chance(166),
            nbr_metafields: if random.chance(110) { None } else { Some(1 + random.below(20)) },
            default_colors: random.chance(620),
            products: random.chance(384),
            instant_search,
            on_collection,
            only_faceting: random.chance(129),
            merchandising: random.chance(4),
            index_prefix: random.index_prefix(),
            paused: random.chance(40),
            listed: random.chance(940),
        }
    }

    /// Puts its fields into the record in the header's order.
    fn fill(&self, record: &mut ByteRecord, date: &str, clean: bool) {
        let list = match self.pinned.as_slice() {
            [] => "[0]".to_owned(),
            items => format!("[{}]", items.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
        };
        let metafields = match self.nbr_metafields {
            Some(number) => number.to_string(),
            None if clean => String::new(),
            None => "N/A".to_owned(),
        };
        record.clear();
        record.extend([&self.id, &self.shop_domain, &self.application_id]);
        record.extend([self.autocomplete, !self.pinned.is_empty()].map(spell));
        record.extend([&self.pinned.len().to_string(), &list]);
        record.extend([self.logo, self.sort_orders, self.analytics, self.metafields].map(spell));
        record.push_field(metafields.as_bytes());
        record.extend([self.default_colors, self.products, self.instant_search, self.on_collection].map(spell));
        record.extend([self.only_faceting, self.merchandising].map(spell));
        record.push_field(self.index_prefix.as_bytes());
        record.push_field(spell(self.paused).as_bytes());
        record.push_field(if self.listed { b"marketplace" } else { b"unpublished" });
        record.push_field(date.as_bytes());
        if clean {
            record.extend([spell(self.index_prefix != "shopify_"), date]);
        }
    }
}

/// A boolean as the exports spell it.
fn spell(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

/// `SplitMix64`: eight bytes of state, and more than random enough to look real. The files must stay the same for ever,
/// which a crate's own generator does not promise across its versions.
struct Random {
    state: u64,
    /// Differs between days, so that their ids do.
    day: u64,
}

impl Random {
    /// Each day has numbers of its own: a day is the same whichever days are made with it.
    fn of_day(seed: u64, day: NaiveDate) -> Self {
        let days = u64::from(chrono::Datelike::num_days_from_ce(&day).unsigned_abs());
        let day = mix(seed ^ mix(days));
        Self { state: day, day }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number from 0 up to and without `end`, which is small enough for the slight unevenness not to matter.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True so many times in a thousand.
    fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// Up to 5% more or less.
    fn about(&mut self, rows: u64) -> u64 {
        rows - rows / 20 + self.below(rows / 10 + 1)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let length = from.len() as u64;
        let index = usize::try_from(self.below(length)).unwrap_or_default();
        from[index]
    }

    fn word(&mut self) -> &'static str {
        self.pick(&WORDS)
    }

    fn application_id(&mut self) -> String {
        (0..10).map(|_| char::from(self.pick(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"))).collect()
    }

    fn index_prefix(&mut self) -> String {
        let words = if self.chance(436) { 0 } else { 1 + self.below(3) };
        (0..words).fold("shopify_".to_owned(), |prefix, _| prefix + self.word() + "_")
    }

    /// A version 4 UUID. 64 of its bits are the row's number, mixed: [`mix`] gives no two numbers the same result, so
    /// no two rows of a day have the same id.
    fn uuid(&mut self, number: u64) -> String {
        let unique = mix(self.day.wrapping_add(number));
        let free = self.next();
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            unique >> 32,
            (unique >> 16) & 0xffff,
            free & 0xfff,
            0x8000 | ((free >> 12) & 0x3fff),
            ((unique & 0xffff) << 32) | (free >> 32),
        )
    }
}

/// `SplitMix64`'s finisher: scatters the bits, and can be undone.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
