//! Sorting, grouping, leaving out what is there already.

use std::cmp::Ordering;

use crate::datum::Datum;
use crate::error::Raised;
use crate::machine::Machine;
use crate::word::{Args, Outcome, Word};

pub(super) fn words<W>() -> Vec<Word<W>> {
    vec![
        Word::call("sort", "L", |m, a| {
            let mut items = a.list_at(0)?.to_vec();
            pay(m, &items)?;
            items.sort();
            m.list(items)
        })
        .brief("the items in their natural order")
        .text("Truth values, numbers, symbols, strings, bytes, lists; within each by value.")
        .returns("a list")
        .example("(sort '(3 1 2))", "(1 2 3)"),
        Word::call("sort-by", "F L", sort_by)
            .brief("the items in the order of what a function gives for them")
            .returns("a list")
            .example("(sort-by last '((a 2) (b 1)))", "((b 1) (a 2))"),
        Word::call("sort-with", "F L", |m, a| {
            let items = a.list_at(1)?.to_vec();
            let sorted = merge_sort(m, a.at(0), items)?;
            m.list(sorted)
        })
        .brief("the items in the order of a function that says whether one comes before another")
        .text("Items of which neither comes before the other stay as they are.")
        .returns("a list")
        .example("(sort-with gt? '(1 3 2))", "(3 2 1)"),
        Word::call("group-by", "F L", group_by)
            .brief("neighbours that belong together")
            .text("F takes the first item of a group and the next one, and says whether it belongs to it.")
            .returns("a list of lists")
            .example("(group-by eq? '(1 1 2 1))", "((1 1) (2) (1))"),
        Word::call("nub", "L", |m, a| {
            let items = a.list_at(0)?;
            pay(m, items)?;
            let mut places: Vec<usize> = (0..items.len()).collect();
            // The sort is stable: of equal items the first comes first.
            places.sort_by_key(|place| &items[*place]);
            places.dedup_by_key(|place| &items[*place]);
            places.sort_unstable();
            m.list(places.into_iter().map(|place| items[place].clone()).collect())
        })
        .brief("every item once, where it stands first")
        .returns("a list")
        .example("(nub '(2 1 2 3 1))", "(2 1 3)"),
    ]
}

/// Comparing all items a few times costs a few walks through them.
fn pay<W>(m: &mut Machine<W>, items: &[Datum]) -> Result<(), Raised> {
    let rounds = u64::from(items.len().checked_ilog2().unwrap_or(0)) + 1;
    for item in items {
        m.walk(item)?;
    }
    m.pay(rounds.saturating_mul(items.len() as u64) / 16)
}

fn sort_by<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let items = a.list_at(1)?;
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        let key = m.apply(a.at(0), std::slice::from_ref(item))?;
        m.walk(&key)?;
        keyed.push((key, item.clone()));
    }
    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    m.list(keyed.into_iter().map(|(_, item)| item).collect())
}

/// A sort of our own, because the function may fail, and may contradict itself.
fn merge_sort<W>(m: &mut Machine<W>, less: &Datum, items: Vec<Datum>) -> Result<Vec<Datum>, Raised> {
    let mut runs: Vec<Vec<Datum>> = items.into_iter().map(|item| vec![item]).collect();
    while runs.len() > 1 {
        let mut merged = Vec::with_capacity(runs.len().div_ceil(2));
        let mut pairs = runs.into_iter();
        while let Some(left) = pairs.next() {
            merged.push(match pairs.next() {
                Some(right) => merge(m, less, left, right)?,
                None => left,
            });
        }
        runs = merged;
    }
    Ok(runs.pop().unwrap_or_default())
}

fn merge<W>(
    m: &mut Machine<W>,
    less: &Datum,
    left: Vec<Datum>,
    right: Vec<Datum>,
) -> Result<Vec<Datum>, Raised> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let mut left = left.into_iter().peekable();
    for item in right {
        while let Some(before) = left.peek() {
            let order = match m.apply(less, &[item.clone(), before.clone()])?.is_true() {
                true => Ordering::Less,
                false => Ordering::Equal,
            };
            if order == Ordering::Less {
                break;
            }
            merged.extend(left.next());
        }
        merged.push(item);
    }
    merged.extend(left);
    Ok(merged)
}

fn group_by<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let mut groups = Vec::new();
    let mut group: Vec<Datum> = Vec::new();
    for item in a.list_at(1)? {
        let belongs = match group.first() {
            Some(first) => m.apply(a.at(0), &[first.clone(), item.clone()])?.is_true(),
            None => true,
        };
        if !belongs {
            groups.push(m.list(std::mem::take(&mut group))?);
        }
        group.push(item.clone());
    }
    if !group.is_empty() {
        groups.push(m.list(group)?);
    }
    m.list(groups)
}
