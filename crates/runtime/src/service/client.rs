//! Which calls are counted as those of one client.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::messages::LocalName;

/// A client, for the purpose of limits: an IPv4 address, or the first 64 bits of an IPv6 address.
///
/// A place is given before a client says who it is, so that only its address distinguishes it. An IPv6 subscriber
/// usually has a network of 64 bits and may use any address in it, so a limit per address would have no effect. Clients
/// behind one translated address count as one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ClientAddress(IpAddr);

/// Both servers know a client's address, so each writes it by a name of its own.
impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            IpAddr::V4(address) => LocalName::of("address", &address.octets()),
            IpAddr::V6(address) => LocalName::of("address", &address.octets()),
        };
        name.fmt(f)
    }
}

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        // A listener on [::] sees IPv4 callers as ::ffff:a.b.c.d, which would all have the same first 64 bits.
        Self(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
            address @ IpAddr::V4(_) => address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> ClientAddress {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn case_50_a_client_is_an_ipv4_address_or_an_ipv6_network() {
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
        assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff::9"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("::ffff:192.0.2.1"), client("::ffff:192.0.2.2"));
    }

    #[test]
    fn an_address_is_written_as_a_name() {
        let [one, same, other] = ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"].map(|text| client(text).to_string());
        assert!(one == same && one != other && !one.contains("192"), "{one} {other}");
    }
}
