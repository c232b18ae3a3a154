//! What kind of place an IP address is, whatever its spelling.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Zone {
    /// Reachable by everybody.
    Public,
    /// This machine.
    Loopback,
    /// An organisation's own network.
    Private,
    /// Link-local, cloud metadata, multicast or reserved: never connected to.
    Forbidden,
}

/// Metadata services that live outside the link-local networks.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba Cloud
    Ipv4Addr::new(168, 63, 129, 16),   // Azure
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle Cloud
];
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254); // AWS

/// The zone of `address`, after taking out an IPv4 address that hides in an IPv6 one.
pub fn zone(address: IpAddr) -> Zone {
    match unmap(address) {
        IpAddr::V4(address) => zone_v4(address),
        IpAddr::V6(address) => zone_v6(address),
    }
}

/// The IPv4 address inside a mapped, compatible, translated (NAT64), 6to4 or Teredo one.
#[expect(
    clippy::unnested_or_patterns,
    reason = "one row a network reads better"
)]
pub fn unmap(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        // Mapped (RFC 4291), translated (RFC 2765) and compatible addresses.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0, 0, 0, 0, 0, 0, high, low]
        // NAT64: the well-known prefix (RFC 6052) and the one for local use (RFC 8215).
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low]
        // 6to4 (RFC 3056).
        | [0x2002, high, low, ..] => v4(high, low),
        // Teredo (RFC 4380) holds the address of the client with its bits flipped.
        [0x2001, 0, _, _, _, _, high, low] => v4(!high, !low),
        _ => address,
    }
}

#[expect(
    clippy::unnested_or_patterns,
    reason = "one row a network reads better"
)]
fn zone_v4(address: Ipv4Addr) -> Zone {
    let octets = address.octets();
    if METADATA_V4.contains(&address) {
        return Zone::Forbidden;
    }
    match octets {
        [127, ..] => Zone::Loopback,
        // Private use, then carrier-grade NAT, protocol assignments and benchmarks.
        [10, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [100, 64..=127, ..]
        | [192, 0, 0, _]
        | [198, 18..=19, ..] => Zone::Private,
        // This network, link-local, documentation, 6to4 relays, multicast and reserved.
        [0, ..]
        | [169, 254, ..]
        | [192, 0, 2, _]
        | [192, 88, 99, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [224..=255, ..] => Zone::Forbidden,
        _ => Zone::Public,
    }
}

fn zone_v6(address: Ipv6Addr) -> Zone {
    if address == METADATA_V6 {
        return Zone::Forbidden;
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Zone::Loopback,
        // Unique local and the deprecated site-local addresses.
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Zone::Private,
        // Documentation.
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Zone::Forbidden,
        // Only 2000::/3 is global unicast; the rest is link-local, multicast or unassigned.
        [0x2000..=0x3fff, ..] => Zone::Public,
        _ => Zone::Forbidden,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart_in_every_spelling() {
        let cases = [
            ("8.8.8.8", Zone::Public),
            ("2606:4700::1111", Zone::Public),
            ("64:ff9b::8.8.8.8", Zone::Public),
            ("127.0.0.1", Zone::Loopback),
            ("127.255.255.254", Zone::Loopback),
            ("::1", Zone::Loopback),
            ("::ffff:127.0.0.1", Zone::Loopback),
            ("::127.0.0.1", Zone::Loopback),
            ("::ffff:0:127.0.0.1", Zone::Loopback),
            ("64:ff9b::7f00:1", Zone::Loopback),
            ("64:ff9b:1::127.0.0.1", Zone::Loopback),
            ("2002:7f00:1::", Zone::Loopback),
            ("2001:0:1::80ff:fffe", Zone::Loopback),
            ("10.1.2.3", Zone::Private),
            ("172.31.0.1", Zone::Private),
            ("172.32.0.1", Zone::Public),
            ("192.168.1.1", Zone::Private),
            ("100.64.0.1", Zone::Private),
            ("fd12::1", Zone::Private),
            ("fec0::1", Zone::Private),
            ("2002:c0a8:101::1", Zone::Private),
            ("169.254.169.254", Zone::Forbidden),
            ("::ffff:169.254.169.254", Zone::Forbidden),
            ("2002:a9fe:a9fe::", Zone::Forbidden),
            ("64:ff9b::a9fe:a9fe", Zone::Forbidden),
            ("fe80::1", Zone::Forbidden),
            ("fd00:ec2::254", Zone::Forbidden),
            ("100.100.100.200", Zone::Forbidden),
            ("168.63.129.16", Zone::Forbidden),
            ("0.0.0.0", Zone::Forbidden),
            ("::", Zone::Forbidden),
            ("255.255.255.255", Zone::Forbidden),
            ("224.0.0.1", Zone::Forbidden),
            ("ff02::1", Zone::Forbidden),
            ("2001:db8::1", Zone::Forbidden),
        ];
        for (text, expected) in cases {
            assert_eq!(zone(text.parse().unwrap()), expected, "{text}");
        }
    }
}
