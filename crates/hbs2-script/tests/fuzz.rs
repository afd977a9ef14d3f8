//! The reader of the language under fire: any text is forms or errors, and what is printed is read as the same.

use hbs2_script::print::print_all;
use hbs2_script::syntax::parse;
use hbs2_testkit::fuzz::fuzz;

const TEXTS: [&str; 8] = [
    "listen \"0.0.0.0:7351\"\nknown-peer \"tcp://10.0.0.1:10351\" ; and so on\n",
    "(define (f x) [+ x 1])\n(println (f 41))\n",
    "a (b\n c) d\ne",
    "; comment\n'(1 2.5 -3e4 0x1f #t #f) \"a\\nb\\\"c\"",
    "{a `b ,c}\n(quasiquot `(1 ,(+ 1 1)))",
    "manifest \"x\"\n  nested 1\n  \"two words\" 3",
    "\u{feff}ключ \"значение\" 12345678901234567890\n",
    "(((((())))))\n[)(}{\"",
];

#[test]
fn fuzz_script() {
    let seeds = TEXTS.iter().map(|text| text.as_bytes().to_vec()).collect();
    fuzz("script", seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let parsed = parse(&text);
        let faults: Vec<String> = parsed.errors.iter().map(|error| format!("{:?}", error.fault)).collect();
        if parsed.errors.is_empty() {
            let printed = print_all(&parsed.forms);
            let again = parse(&printed);
            assert!(again.errors.is_empty(), "{printed:?} is not read: {:?}", again.errors);
            assert_eq!(shape(&again.forms), shape(&parsed.forms), "printed as {printed:?}");
        }
        let mut taken = faults.join(" ");
        taken.truncate(60);
        format!("{taken} {}", parsed.forms.len().min(12))
    });
}

fn shape(forms: &[hbs2_script::syntax::Form]) -> Vec<String> {
    forms.iter().map(ToString::to_string).collect()
}
