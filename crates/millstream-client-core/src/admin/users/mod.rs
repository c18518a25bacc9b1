//! What users prove themselves with: SCRAM credentials and delegation tokens.

mod scram;
mod tokens;

pub use scram::{
    SaltedCredential, ScramChange, ScramIterations, ScramMechanism, alter_user_scram_credentials,
    describe_user_scram_credentials,
};
pub use tokens::{
    DelegationToken, KafkaPrincipal, NewDelegationToken, create_delegation_token,
    describe_delegation_tokens, expire_delegation_token, renew_delegation_token,
};
