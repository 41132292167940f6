//! Protocols of the ports.

/// What a port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC: HTTP/2 only.
    Grpc,
    /// The gateway: HTTP/1.1 and HTTP/2.
    Http,
    /// gRPC and the gateway: HTTP/1.1 and HTTP/2.
    Both,
    /// Metrics and probes: HTTP/1.1 and HTTP/2.
    Operations,
    /// The admin API: gRPC, HTTP/2 only.
    Admin,
}

impl Protocol {
    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Grpc => "grpc",
            Protocol::Http => "http",
            Protocol::Both => "both",
            Protocol::Operations => "operations",
            Protocol::Admin => "admin",
        }
    }

    /// Whether calls may be gRPC.
    pub fn is_grpc(self) -> bool {
        matches!(self, Protocol::Grpc | Protocol::Admin | Protocol::Both)
    }
}
