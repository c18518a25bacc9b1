//! CreateDelegationToken, RenewDelegationToken, ExpireDelegationToken 1 to the newest and
//! DescribeDelegationToken 1 to the newest (KIP-48): refused as a broker refuses them on a listener
//! without authentication, which is all that this one has.

use millstream_protocol::ErrorCode;
use millstream_protocol::messages::{
    CreateDelegationTokenRequest, CreateDelegationTokenResponse, DescribeDelegationTokenRequest,
    DescribeDelegationTokenResponse, ExpireDelegationTokenRequest, ExpireDelegationTokenResponse,
    RenewDelegationTokenRequest, RenewDelegationTokenResponse,
};

use super::{Api, Call, Served, text};
use crate::core::state::State;

/// `KafkaApis.allowTokenRequests`.
const REFUSAL: ErrorCode = ErrorCode::DelegationTokenRequestNotAllowed;

impl Api for CreateDelegationTokenRequest {
    fn serve(self, state: &mut State, call: &Call) -> Served<CreateDelegationTokenResponse> {
        let user = text(state.user_of(&call.client_id));
        let mut response = self.refuse(call.version, REFUSAL);
        response.principal_type = text("User");
        response.principal_name = user.clone();
        if call.version >= TELLS_REQUESTER {
            response.token_requester_principal_type = text("User");
            response.token_requester_principal_name = user;
        }
        Served::Now(response)
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> CreateDelegationTokenResponse {
        CreateDelegationTokenResponse::default()
            .with_error_code(code.code())
            .with_issue_timestamp_ms(-1)
            .with_expiry_timestamp_ms(-1)
            .with_max_timestamp_ms(-1)
    }
}

/// The first version that tells who asked for a token (KIP-373).
const TELLS_REQUESTER: i16 = 3;

impl Api for RenewDelegationTokenRequest {
    fn serve(self, _: &mut State, call: &Call) -> Served<RenewDelegationTokenResponse> {
        Served::Now(self.refuse(call.version, REFUSAL))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> RenewDelegationTokenResponse {
        RenewDelegationTokenResponse::default()
            .with_error_code(code.code())
            .with_expiry_timestamp_ms(-1)
    }
}

impl Api for ExpireDelegationTokenRequest {
    fn serve(self, _: &mut State, call: &Call) -> Served<ExpireDelegationTokenResponse> {
        Served::Now(self.refuse(call.version, REFUSAL))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> ExpireDelegationTokenResponse {
        ExpireDelegationTokenResponse::default()
            .with_error_code(code.code())
            .with_expiry_timestamp_ms(-1)
    }
}

impl Api for DescribeDelegationTokenRequest {
    fn serve(self, _: &mut State, call: &Call) -> Served<DescribeDelegationTokenResponse> {
        Served::Now(self.refuse(call.version, REFUSAL))
    }

    fn refuse(&self, _: i16, code: ErrorCode) -> DescribeDelegationTokenResponse {
        DescribeDelegationTokenResponse::default().with_error_code(code.code())
    }
}
