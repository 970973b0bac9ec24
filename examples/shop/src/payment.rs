//! The client of the payment provider, which is somebody else's HTTP API.

use std::time::Duration;

use axum::{
    body::{self, Body},
    http::{Request, StatusCode, Uri, header},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::{Error, error::chain};

/// How long a charge may take. The checkout's transaction is open meanwhile, so that this is not long.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most of an answer that is read, in bytes.
const ANSWER_LIMIT: usize = 4096;

/// The body of `POST /charges`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Which order is paid for.
    pub order_id: i64,
    /// How much, in cents.
    pub amount_cents: i64,
}

/// A payment provider.
#[derive(Debug, Clone)]
pub struct Payment {
    charges: String,
    client: Client<HttpConnector, Body>,
}

impl Payment {
    /// The provider at this `http://` URL, which is not contacted yet.
    pub fn new(url: &Uri) -> Self {
        let charges = format!("{}/charges", url.to_string().trim_end_matches('/'));
        Self {
            charges,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Charges an amount in cents. Any answer but a success or a 402 is an error of the provider.
    pub(crate) async fn charge(&self, order_id: i64, amount_cents: i64) -> Result<(), Error> {
        let charge = Charge {
            order_id,
            amount_cents,
        };
        let (status, answer) = timeout(PATIENCE, self.post(&charge))
            .await
            .unwrap_or_else(|_| Err(Error::Payment(format!("no answer in {PATIENCE:?}"))))?;
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::PAYMENT_REQUIRED => Err(Error::Declined(answer)),
            status => Err(Error::Payment(format!("it answered {status}"))),
        }
    }

    async fn post(&self, charge: &Charge) -> Result<(StatusCode, String), Error> {
        let failed = |error: &dyn std::error::Error| Error::Payment(chain(error));
        let charge = serde_json::to_vec(charge).map_err(|error| failed(&error))?;
        let request = Request::post(&self.charges)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(charge))
            .map_err(|error| failed(&error))?;
        let response = self
            .client
            .request(request)
            .await
            .map_err(|error| failed(&error))?;
        let status = response.status();
        let answer = body::to_bytes(Body::new(response.into_body()), ANSWER_LIMIT).await;
        let answer = answer.map_err(|error| failed(&error))?;
        Ok((status, String::from_utf8_lossy(&answer).into_owned()))
    }
}
