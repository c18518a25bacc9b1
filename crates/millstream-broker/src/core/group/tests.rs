//! The life of a group as a table, so that a change of behaviour is a readable difference.

use std::fmt::Write;

use expect_test::expect;

use super::GroupState;

#[test]
fn transitions() {
    let mut table = String::new();
    for from in GroupState::ALL {
        let next = GroupState::ALL.into_iter().filter(|next| from.may_become(*next));
        let next: Vec<_> = next.map(GroupState::name).collect();
        writeln!(table, "{from} -> {}", next.join(" | ")).unwrap();
    }
    expect![[r#"
        Empty -> PreparingRebalance
        PreparingRebalance -> Empty | CompletingRebalance
        CompletingRebalance -> PreparingRebalance | Stable
        Stable -> PreparingRebalance
    "#]]
    .assert_eq(&table);
}
