//! First addresses from the domain name system (spec: wire 3.3).
//!
//! Each TXT record of a bootstrap domain is the text of one address, such as `tcp://1.2.3.4:10351`.

use std::net::SocketAddr;
use std::time::Duration;

use hbs2_core::addr::PeerAddr;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

/// Time for one question, in seconds.
const ANSWER_SECONDS: u64 = 5;

/// How often a question is asked.
const ATTEMPTS: usize = 2;

/// Addresses taken of one domain, at most.
const ADDRESSES_MAX: usize = 64;

/// Why a domain gives no addresses.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The system names no usable name servers.
    #[error("cannot find a name server")]
    Servers(#[source] Box<hickory_resolver::net::NetError>),
    /// The name servers have no answer.
    #[error("cannot look up the bootstrap domain {domain}")]
    Answer {
        /// The domain.
        domain: String,
        /// What was wrong.
        source: Box<hickory_resolver::net::NetError>,
    },
}

/// The addresses that a domain lists, asked of the name servers of the system or of `server`. What is no address is
/// left out.
///
/// # Errors
/// There is no name server or no answer.
pub async fn lookup(domain: &str, server: Option<SocketAddr>) -> Result<Vec<PeerAddr>, LookupError> {
    let resolver = resolver(server).map_err(|source| LookupError::Servers(Box::new(source)))?;
    // With a dot at its end a name is complete: no domain of the system is tried behind it.
    let name = format!("{}.", domain.trim_end_matches('.'));
    let failed = |source| LookupError::Answer { domain: domain.to_owned(), source: Box::new(source) };
    let answer = resolver.txt_lookup(name.as_str()).await.map_err(failed)?;
    let texts = answer.answers().iter().filter_map(|record| match &record.data {
        RData::TXT(text) => Some(text.txt_data.concat()),
        _ => None,
    });
    let addresses = texts.filter_map(|text| address(domain, &text));
    Ok(addresses.take(ADDRESSES_MAX).collect())
}

fn address(domain: &str, text: &[u8]) -> Option<PeerAddr> {
    let address = String::from_utf8_lossy(text).trim().parse();
    address
        .inspect_err(|error| tracing::debug!(%error, "the bootstrap domain {domain} lists something else"))
        .ok()
}

fn resolver(server: Option<SocketAddr>) -> Result<TokioResolver, hickory_resolver::net::NetError> {
    let mut builder = match server {
        None => TokioResolver::builder_tokio()?,
        Some(server) => {
            let mut udp = ConnectionConfig::udp();
            udp.port = server.port();
            let server = NameServerConfig::new(server.ip(), true, vec![udp]);
            let config = ResolverConfig::from_name_servers(vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    builder.options_mut().timeout = Duration::from_secs(ANSWER_SECONDS);
    builder.options_mut().attempts = ATTEMPTS;
    builder.build()
}
