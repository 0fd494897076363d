internal import PosternFFI

/// The account of who is logged in.
public final class Account: Sendable, Redacted {
    private let ffi: Lease<FFIAccount>

    init(_ ffi: FFIAccount) {
        self.ffi = Lease(ffi)
    }

    /// The account, fresh from the account center.
    public func summary() async throws(SessionError) -> AccountSummary {
        AccountSummary(try await sessionCall(ffi.held) { try await $0.summary() })
    }

    /// The account's sessions: the devices that are logged in.
    public func sessions() async throws(SessionError) -> [SessionSummary] {
        try await sessionCall(ffi.held) { try await $0.sessions() }.map(SessionSummary.init)
    }

    func end() {
        ffi.end()
    }

    /// What it is.
    public var description: String { "Account" }
}
