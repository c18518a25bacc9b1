//! Tests of the classic member.
