//! Words that draw random numbers, from the system.

use hbs2_script::{Args, Datum, Machine, Outcome, Raised, Word};

use super::World;
use crate::error::Failure;

pub(super) fn words<W: World>() -> Vec<Word<W>> {
    vec![
        Word::call("uuid", "", |m: &mut Machine<W>, _| uuid(m))
            .brief("a random name, as RFC 9562 makes them")
            .returns("a string"),
        Word::call("random:flip", "", |_, _| Ok(Datum::Bool(draw()? & 1 == 1)))
            .brief("heads or tails")
            .returns("#t or #f"),
        Word::call("random:int", "A B", |_, a| {
            let (low, high) = (a.int_at(0)?, a.int_at(1)?);
            let count = high.checked_sub(low).and_then(|last| last.checked_add(1)).filter(|count| *count > 0);
            let count = count.and_then(|count| u64::try_from(count).ok());
            let count = count.ok_or_else(|| a.wrong(1, "a number from A, less than 2^64 away"))?;
            Ok(Datum::Int(low + i128::from(below(count)?)))
        })
        .brief("a random whole number from A to B")
        .returns("a whole number"),
        Word::call("random:uint", "[N]", |_, a| match a.get(0) {
            None => Ok(Datum::Int(i128::from(draw()?))),
            Some(_) => {
                let count = u64::try_from(a.int_at(0)?).ok().filter(|count| *count > 0);
                Ok(Datum::Int(i128::from(below(count.ok_or_else(|| a.wrong(0, "a number from 1"))?)?)))
            }
        })
        .brief("a random whole number below N, or below 2^64")
        .returns("a whole number"),
        Word::call("random:float", "[A] [B]", |m: &mut Machine<W>, a| {
            // 53 bits are what a real number between 0 and 1 can hold.
            let unit = (draw()? >> 11) as f64 / (1_u64 << 53) as f64;
            let (low, high) = match a.count() {
                0 => (0.0, 1.0),
                1 => (0.0, a.real_at(0)?),
                _ => (a.real_at(0)?, a.real_at(1)?),
            };
            m.real(low + unit * (high - low))
        })
        .brief("a random number from 0 to 1, to A, or from A to B")
        .returns("a real number"),
        Word::call("random:choice", "L", |_, a| {
            let items = a.list_at(0)?;
            if items.is_empty() {
                return Ok(Datum::Nil);
            }
            Ok(items[place(items.len())?].clone())
        })
        .brief("a random item of a list")
        .returns("the item; nil when there is none"),
        Word::call("random:seq", "N L", |m: &mut Machine<W>, a| {
            let (count, items) = (a.size_at(0)?, a.list_at(1)?);
            m.room_for_items(count)?;
            if items.is_empty() {
                return Ok(Datum::Nil);
            }
            let drawn: Result<Vec<_>, Raised> =
                (0..count).map(|_| Ok(items[place(items.len())?].clone())).collect();
            m.list(drawn?)
        })
        .brief("N random items of a list, each drawn from all")
        .returns("a list"),
        Word::call("random:shuffle", "L", shuffle).brief("a list in random order").returns("a list"),
    ]
}

fn draw() -> Result<u64, Raised> {
    Ok(getrandom::u64().map_err(Failure::Random)?)
}

/// A number below `count`, each as likely as the others.
fn below(count: u64) -> Result<u64, Raised> {
    // What is beyond the last whole multiple would make the first numbers more likely.
    let beyond = u64::MAX - (u64::MAX % count + 1) % count;
    loop {
        let number = draw()?;
        if number <= beyond {
            return Ok(number % count);
        }
    }
}

fn place(count: usize) -> Result<usize, Raised> {
    below(count as u64).map(|place| usize::try_from(place).expect("it is below a length"))
}

fn shuffle<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let mut items = a.list_at(0)?.to_vec();
    for last in (1..items.len()).rev() {
        items.swap(last, place(last + 1)?);
    }
    m.list(items)
}

fn uuid<W>(m: &mut Machine<W>) -> Outcome {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(Failure::Random)?;
    // Version 4, variant 1.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    m.text(parts.join("-"))
}
