//! How fast a day's bytes become rows: the parser alone, and the parser with the validator behind it. No file, no
//! database; whole loads are measured by `load.py`.

use std::convert::Infallible;
use std::hint::black_box;
use std::path::Path;

use anyhow::Context;
use criterion::{Criterion, Throughput};
use dayfill::config::{self, Environment};
use dayfill::dataset::Dataset;
use dayfill::parse::{ParseError, Parser, RawRow};
use dayfill::validate::{Row, Validator};

/// How often the sample day's rows are repeated: enough for them not to stay in the processor's cache.
const REPEATS: usize = 100;

/// The pieces that a source hands out.
const PIECE: usize = 64 << 10;

fn main() -> anyhow::Result<()> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample");
    let config = config::load(Some(&sample.join("dayfill.toml")), &Environment::from_pairs([]))?;
    let dataset = config.datasets.first().context("The sample has no dataset")?;
    let bytes = large_day(&std::fs::read_to_string(sample.join("2019-04-01.csv"))?)?;
    let (rows, accepted) = (parse(&bytes, dataset), parse_and_validate(&bytes, dataset)?);
    anyhow::ensure!(rows > 0 && accepted == rows, "The sample's rows were not accepted: {accepted} of {rows}");

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("rows");
    group.sample_size(20).throughput(Throughput::ElementsAndBytes { elements: rows, bytes: bytes.len() as u64 });
    group.bench_function("parse", |bencher| bencher.iter(|| parse(black_box(&bytes), dataset)));
    group.bench_function("parse and validate", |bencher| {
        bencher.iter(|| parse_and_validate(black_box(&bytes), dataset).is_ok());
    });
    for (shape, bytes) in [("quoted", quoted(&bytes)?), ("wide", wide(&bytes)?)] {
        let rows = parse(&bytes, dataset);
        anyhow::ensure!(rows > 0, "The {shape} file was not read");
        group.throughput(Throughput::ElementsAndBytes { elements: rows, bytes: bytes.len() as u64 });
        group.bench_function(format!("parse {shape}"), |bencher| bencher.iter(|| parse(black_box(&bytes), dataset)));
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}

/// The day, many times over.
fn large_day(day: &str) -> anyhow::Result<Vec<u8>> {
    let (header, rows) = day.split_once('\n').context("The sample day has no rows")?;
    Ok(format!("{header}\n{}", rows.repeat(REPEATS)).into_bytes())
}

/// The same fields, all of them in quotes.
fn quoted(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
    for record in csv::ReaderBuilder::new().has_headers(false).from_reader(bytes).byte_records() {
        writer.write_byte_record(&record?)?;
    }
    Ok(writer.into_inner()?)
}

/// The lines without quotes, fifty of them in each row.
fn wide(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let lines: Vec<&str> = std::str::from_utf8(bytes)?.lines().filter(|line| !line.contains('"')).collect();
    Ok(lines.chunks_exact(50).map(|row| row.join(",") + "\n").collect::<String>().into_bytes())
}

/// Counts the day's rows, the header left out.
fn parse(bytes: &[u8], dataset: &Dataset) -> u64 {
    let mut records = 0_u64;
    let pushed = push(bytes, dataset, |raw| {
        records += u64::from(black_box(raw).line() > 1);
        Ok::<_, Infallible>(())
    });
    if pushed.is_ok() { records } else { 0 }
}

/// Counts the rows that are accepted.
fn parse_and_validate(bytes: &[u8], dataset: &Dataset) -> anyhow::Result<u64> {
    let mut validator = None;
    let mut row = Row::new();
    let mut accepted = 0;
    let pushed = push(bytes, dataset, |raw| {
        match &validator {
            None => validator = Some(Validator::new(&raw, &dataset.rows, &dataset.target, &dataset.csv)?),
            Some(validator) => accepted += u64::from(validator.check(&raw, &mut row).is_ok()),
        }
        black_box(&row);
        anyhow::Ok(())
    });
    match pushed {
        Ok(()) => Ok(accepted),
        Err(ParseError::File(error)) => Err(error.into()),
        Err(ParseError::Row(error)) => Err(error),
    }
}

/// Pushes the bytes through a new parser as a source would: in pieces.
fn push<E>(
    bytes: &[u8],
    dataset: &Dataset,
    mut each: impl FnMut(RawRow<'_>) -> Result<(), E>,
) -> Result<(), ParseError<E>> {
    let mut parser = Parser::new(&dataset.csv);
    for piece in bytes.chunks(PIECE) {
        parser.push(piece, &mut each)?;
    }
    parser.finish(&mut each)
}
