//! Why a provider cannot be reached, as far as a person can do something about it.

use std::error::Error;
use std::io;

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError};

use super::error::{Cause, printable};

/// Longest name from a certificate that is shown: those of DNS have 253 characters at most.
const LONGEST_NAME: usize = 253;

/// Why a provider cannot be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// The time of its certificate is over.
    #[error("its certificate has expired: it was good until {until}, and this machine's clock says {now}")]
    Expired {
        /// The last moment.
        until: Timestamp,
        /// What the clock of this machine says.
        now: Timestamp,
    },
    /// The time of its certificate has not begun.
    #[error("its certificate is not valid yet: it is good from {from}, and this machine's clock says {now}")]
    NotYetValid {
        /// The first moment.
        from: Timestamp,
        /// What the clock of this machine says.
        now: Timestamp,
    },
    /// Its certificate is somebody else's.
    #[error("its certificate is for another host ({names})")]
    OtherHost {
        /// Whose it is.
        names: String,
    },
    /// Its certificate is signed by nobody whom this machine trusts.
    #[error("its certificate is not signed by an authority that this machine trusts")]
    UnknownSigner,
    /// Something else about its certificate.
    #[error("its certificate is refused: {0}")]
    Certificate(Cause),
    /// This machine trusts nobody.
    #[error("this machine has no certificates of authorities")]
    NoAuthorities,
    /// It wants to know us by a certificate (RFC 8446, 4.3.2), before it has looked at the request.
    #[error("it asks for a client certificate, and vault has none")]
    ClientCertificate,
    /// Anything else, in the words of the system.
    #[error("{0}")]
    Other(Cause),
}

impl Obstacle {
    /// What `error` comes down to.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        match tls_error(error) {
            Some(rustls::Error::InvalidCertificate(why)) => Self::of_certificate(why),
            Some(rustls::Error::General(what)) if what.contains("No CA certificates") => Self::NoAuthorities,
            _ if wants_client_certificate(error) => Self::ClientCertificate,
            _ => Self::Other(Cause::of(error)),
        }
    }

    fn of_certificate(why: &CertificateError) -> Self {
        match why {
            CertificateError::ExpiredContext { time, not_after } => {
                Self::Expired { until: moment(*not_after), now: moment(*time) }
            }
            CertificateError::NotValidYetContext { time, not_before } => {
                Self::NotYetValid { from: moment(*not_before), now: moment(*time) }
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                Self::OtherHost { names: printable(&presented.join(", "), LONGEST_NAME) }
            }
            // The signature is compared with the key of a trusted authority of the same name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownSigner,
            other => Self::Certificate(Cause::from(other.to_string().as_str())),
        }
    }
}

/// Whether the server has ended the handshake because we have shown no certificate. Under TLS 1.3 we
/// learn this after the request was sent; the server has not read it (RFC 8446, 4.4.2.4).
pub(super) fn wants_client_certificate(error: &(dyn Error + 'static)) -> bool {
    matches!(tls_error(error), Some(rustls::Error::AlertReceived(AlertDescription::CertificateRequired)))
}

/// What TLS said, however deep it lies.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // The source of an error that `io::Error` holds is that error's source, not the error itself.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = held.map(|held| held as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

/// A time that no calendar has stands at the end of ours.
fn moment(time: UnixTime) -> Timestamp {
    i64::try_from(time.as_secs()).ok().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or(Timestamp::MAX)
}
