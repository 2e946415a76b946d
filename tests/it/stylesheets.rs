//! What the build script leaves of a large style sheet.

use std::collections::HashSet;

#[path = "../../build/styles.rs"]
mod styles;

fn used(css: &str) -> String {
    styles::only_used(css, &HashSet::from(["btn", "card", "spin"])).replace('\n', "")
}

#[test]
fn only_rules_that_can_apply_are_left() {
    let table = [
        (".btn{a:b}.alert{a:b}", ".btn{a:b}"),
        ("/* ! */:root,[data-x=y]{--a:b}", ":root,[data-x=y]{--a:b}"),
        ("@charset \"UTF-8\";p{a:b}", "p{a:b}"),
        (".alert,.btn:hover,.btn .alert,.card>.btn{a:b}", ".btn:hover,.card>.btn{a:b}"),
        (".btn:not(.alert):not(:last-child){a:b}", ".btn:not(.alert):not(:last-child){a:b}"),
        (".btn:not(.alert) .alert{a:b}", ""),
        (":is(.btn,.card) p{a:b}", ":is(.btn,.card) p{a:b}"),
        ("@media (min-width:1px){.alert{a:b}.btn{c:d}}", "@media (min-width:1px){.btn{c:d}}"),
        ("@media (min-width:1px){.alert{a:b}}", ""),
        ("@keyframes spin{0%{a:b}}@keyframes turn{0%{a:b}}", "@keyframes spin{0%{a:b}}"),
        ("p{a:b", "p{a:b}"),
    ];
    for (css, left) in table {
        assert_eq!(used(css), left, "{css}");
    }
}
