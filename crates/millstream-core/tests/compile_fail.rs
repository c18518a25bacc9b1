//! Programs with wrong types do not compile, and the compiler says so readably.

#[test]
fn wrong_types_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/wrong_types/*.rs");
}
