//! Settings of HTTP: where it is served, and who may write.
//!
//! The port is off unless it is set, and on this machine only unless `http-listen` says otherwise: who reaches it
//! can read every block whose hash he knows.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use hbs2_script::{Config, ConfigError};

/// Where HTTP is served; none when off. Port 0 is any free one.
pub(super) fn listen(config: &Config) -> Result<Option<SocketAddr>, ConfigError> {
    let address = match config.last("http-listen") {
        None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(entry) => entry
            .text()?
            .parse()
            .map_err(|_| entry.error(r#"an address without a port such as "127.0.0.1" is expected"#))?,
    };
    let Some(entry) = config.last("http-port") else { return Ok(None) };
    if entry.text()? == "off" {
        return Ok(None);
    }
    let port = u16::try_from(entry.integer()?)
        .map_err(|_| entry.error("a port from 0 to 65535 or off is expected"))?;
    Ok(Some(SocketAddr::new(address, port)))
}
