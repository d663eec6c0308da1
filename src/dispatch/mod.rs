//! Decisions to leases; the safe states; what devices had before us.
