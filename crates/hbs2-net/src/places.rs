//! How many connections there may be: in all, and from one address.
//!
//! Connections that come in and those that we make are counted apart, so that strangers who fill the one cannot keep us
//! from the other.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::registry::Direction;

/// Places of a carrier.
#[derive(Debug)]
pub(crate) struct Places {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    max: usize,
    per_address_max: usize,
    inbound: usize,
    outbound: usize,
    /// Connections that came from an address.
    by_address: HashMap<IpAddr, usize>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPlace {
    #[error("{0} connections are open already")]
    Full(usize),
    #[error("{0} connections from its address are open already")]
    Address(usize),
}

/// One place; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    direction: Direction,
    address: IpAddr,
}

impl Places {
    pub(crate) fn new(max: usize, per_address_max: usize) -> Self {
        let state = State { max, per_address_max, inbound: 0, outbound: 0, by_address: HashMap::new() };
        Self { state: Mutex::new(state) }
    }

    /// Sets the limits. Connections that there are stay.
    pub(crate) fn limit(&self, max: usize, per_address_max: usize) {
        let mut state = self.state();
        (state.max, state.per_address_max) = (max, per_address_max);
    }

    /// Takes a place for a connection with `address`.
    pub(crate) fn take(self: &Arc<Self>, direction: Direction, address: IpAddr) -> Result<Place, NoPlace> {
        let address = owner_of(address);
        let mut guard = self.state();
        let state = &mut *guard;
        let used = match direction {
            Direction::Inbound => &mut state.inbound,
            Direction::Outbound => &mut state.outbound,
        };
        if *used >= state.max {
            return Err(NoPlace::Full(state.max));
        }
        if direction == Direction::Inbound {
            let of_address = state.by_address.entry(address).or_default();
            if *of_address >= state.per_address_max {
                return Err(NoPlace::Address(state.per_address_max));
            }
            *of_address += 1;
        }
        *used += 1;
        drop(guard);
        Ok(Place { places: Arc::clone(self), direction, address })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state();
        match self.direction {
            Direction::Outbound => state.outbound -= 1,
            Direction::Inbound => {
                state.inbound -= 1;
                let left = state.by_address.get(&self.address).map_or(0, |count| count - 1);
                if left == 0 {
                    state.by_address.remove(&self.address);
                } else {
                    state.by_address.insert(self.address, left);
                }
            }
        }
    }
}

/// What counts as one address: in IPv6 a whole network of 64 bits belongs to one owner.
fn owner_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Inbound, Outbound};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_cannot_take_all_places_and_gives_back_what_it_took() {
        let places = Arc::new(Places::new(3, 2));
        let first = places.take(Inbound, ip("10.0.0.1")).unwrap();
        let _second = places.take(Inbound, ip("::ffff:10.0.0.1")).unwrap();
        assert_eq!(places.take(Inbound, ip("10.0.0.1")).unwrap_err(), NoPlace::Address(2));
        let _other = places.take(Inbound, ip("10.0.0.2")).unwrap();
        assert_eq!(places.take(Inbound, ip("10.0.0.3")).unwrap_err(), NoPlace::Full(3));
        let _ours = places.take(Outbound, ip("10.0.0.1")).unwrap();
        drop(first);
        assert!(places.take(Inbound, ip("10.0.0.1")).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let places = Arc::new(Places::new(9, 1));
        let _first = places.take(Inbound, ip("2001:db8::1")).unwrap();
        assert_eq!(places.take(Inbound, ip("2001:db8::ffff:2")).unwrap_err(), NoPlace::Address(1));
        assert!(places.take(Inbound, ip("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn a_lower_limit_holds_for_those_who_come_later() {
        let places = Arc::new(Places::new(9, 9));
        let first = places.take(Inbound, ip("10.0.0.1")).unwrap();
        places.limit(1, 1);
        assert_eq!(places.take(Inbound, ip("10.0.0.2")).unwrap_err(), NoPlace::Full(1));
        drop(first);
        assert!(places.take(Inbound, ip("10.0.0.2")).is_ok());
    }
}
