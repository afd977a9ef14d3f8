//! Random worlds: whatever happens, after everybody can reach everybody again all agree.
//!
//! Two hundred seeds in ten tests, which run beside each other. `cargo xtask sim` tries more, or one alone.

use std::panic::catch_unwind;

use hbs2_testkit::sim::soak;

/// Seeds in each of the ten tests.
const SEEDS: u64 = 20;

/// Tells the stories of one test.
fn check(test: u64) {
    for seed in (0..SEEDS).map(|n| test * SEEDS + n) {
        if catch_unwind(|| soak::tell(seed)).is_err() {
            panic!("seed {seed} failed; repeat it with: cargo xtask sim --seed {seed}");
        }
    }
}

macro_rules! after_any_trouble_all_agree {
    ($($name:ident $test:literal)*) => {
        $(#[test]
        fn $name() {
            check($test);
        })*
    };
}

after_any_trouble_all_agree! {
    after_any_trouble_all_agree_0 0
    after_any_trouble_all_agree_1 1
    after_any_trouble_all_agree_2 2
    after_any_trouble_all_agree_3 3
    after_any_trouble_all_agree_4 4
    after_any_trouble_all_agree_5 5
    after_any_trouble_all_agree_6 6
    after_any_trouble_all_agree_7 7
    after_any_trouble_all_agree_8 8
    after_any_trouble_all_agree_9 9
}

#[test]
fn the_same_seed_tells_the_same_story() {
    assert_eq!(soak::tell(3), soak::tell(3));
}
