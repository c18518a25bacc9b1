//! Admin calls in virtual time.
