import Foundation
internal import PosternFFI

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Whether somebody is logged in.
public enum SessionStatus: Sendable, Hashable, Redacted {
    /// Nobody is.
    case signedOut
    /// Somebody is. The access token may have expired; it is renewed when needed.
    case signedIn(AccountSummary)
    /// The vault can't be read at the moment. It says nothing about anybody being signed out.
    case unavailable
    /// Somebody was, and has to log in again.
    case needsLogin(NeedsLoginReason)

    init(_ ffi: FFISessionStatus) {
        self =
            switch ffi {
            case .signedOut: .signedOut
            case .signedIn(let account): .signedIn(AccountSummary(account))
            case .unavailable: .unavailable
            case .needsLogin(let reason): .needsLogin(NeedsLoginReason(reason))
            }
    }

    /// Without anything personal.
    public var description: String {
        switch self {
        case .signedOut: "signedOut"
        case .signedIn(let account): "signedIn(\(account))"
        case .unavailable: "unavailable"
        case .needsLogin(let reason): "needsLogin(\(reason))"
        }
    }
}

/// The session of this installation. Its tokens stay inside; requests get headers.
public final class Session: Sendable, Redacted {
    /// Sends a request as it is, and follows no redirect: the session's headers are for one URL alone.
    public typealias Send = @Sendable (URLRequest) async throws -> (Data, URLResponse)

    private let ffi: Lease<FFISession>
    private let http = SingleExchanges()

    init(_ ffi: FFISession) {
        self.ffi = Lease(ffi)
    }

    /// Whether somebody is logged in; reads the vault at the first call, asks no server.
    public func status() async throws(SessionError) -> SessionStatus {
        SessionStatus(try await sessionCall(ffi.held) { try await $0.status() })
    }

    /// Sends a request of the app's own API with the session's headers: token and proof, renewed and repeated once where the API answers 401. However
    /// many tasks wait for a new token, it is asked for once.
    ///
    /// Where nobody is signed in, or the origin is not a configured one, it is sent without them (M8: a guest goes on as a guest). A redirect is not
    /// followed but returned.
    public func data(for request: URLRequest) async throws -> (Data, URLResponse) {
        try await data(for: request) { [http] in try await http.data(for: $0) }
    }

    /// The same over the app's own HTTP stack. `send` may be called up to three times.
    public func data(for request: URLRequest, through send: Send) async throws -> (Data, URLResponse) {
        var last = try await attempt(request, send)
        // A body that is read as a stream is gone.
        guard request.httpBodyStream == nil else { return last.reply }
        // At most one repetition for a nonce (RFC 9449 section 9), and one for a token that was not accepted.
        for wish in [Attempt.Wish.nonce, .token] where last.wish == wish {
            if wish == .token {
                guard let authorized = last.authorized, (try? await authorized.renew()) != nil else { return last.reply }
            }
            last = try await attempt(request, send)
        }
        return last.reply
    }

    /// The request with the session's two headers, for the account center and the configured API origins alone; any other throws
    /// ``SessionError/originNotAllowed``. Renews the access token first where it is about to expire. Most apps call ``data(for:)`` instead.
    public func authorize(_ request: URLRequest) async throws(SessionError) -> AuthorizedRequest {
        guard let url = request.url else { throw .requestInvalid }
        // A body that is read as a stream can't be bound.
        let body = request.httpBodyStream == nil ? request.httpBody ?? Data() : nil
        let ffi = try await sessionCall(ffi.held) { session in
            try await session.authorize(method: request.httpMethod ?? "GET", url: url.absoluteString, body: body)
        }
        return try AuthorizedRequest(request, ffi)
    }

    /// Renews the access token. One request for any number of callers. Seldom needed: ``data(for:)`` and ``authorize(_:)`` renew by themselves.
    public func renew() async throws(SessionError) {
        try await sessionCall(ffi.held) { try await $0.renew() }
    }

    /// Signs out: tells the account center and deletes the session from this device. Says whether the account center ended it too; if not, it ends there
    /// when its refresh token expires.
    ///
    /// Throws ``SessionError/unavailable`` where the vault refuses to delete: sign out again later.
    @discardableResult
    public func signOut() async throws(SessionError) -> Bool {
        try await sessionCall(ffi.held) { try await $0.signOut() }.serverTold
    }

    func end() {
        ffi.end()
    }

    /// What it is.
    public var description: String { "Session([redacted])" }

    private struct Attempt {
        enum Wish { case nonce, token }

        let reply: (Data, URLResponse)
        let authorized: AuthorizedRequest?
        let wish: Wish?
    }

    private func attempt(_ request: URLRequest, _ send: Send) async throws -> Attempt {
        let authorized: AuthorizedRequest
        do { authorized = try await authorize(request) } catch .signedOut, .needsLogin, .originNotAllowed {
            return Attempt(reply: try await send(request), authorized: nil, wish: nil)
        }
        let reply = try await send(authorized.urlRequest)
        guard let response = reply.1 as? HTTPURLResponse, let url = request.url else {
            return Attempt(reply: reply, authorized: authorized, wish: nil)
        }
        if let nonce = response.value(forHTTPHeaderField: "DPoP-Nonce") {
            try? ffi.held?.learnNonce(url: url.absoluteString, nonce: nonce)
        }
        guard response.statusCode == 401 else { return Attempt(reply: reply, authorized: authorized, wish: nil) }
        let wantsNonce = response.value(forHTTPHeaderField: "WWW-Authenticate")?.contains("use_dpop_nonce") ?? false
        return Attempt(reply: reply, authorized: authorized, wish: wantsNonce ? .nonce : .token)
    }
}

/// A request with the session's headers. They are for exactly this method, URL and body, and never for the target of a redirect.
public final class AuthorizedRequest: Sendable, Redacted {
    private let ffi: FFIAuthorizedRequest

    /// The request to send. Its headers hold the token and the proof, and `URLRequest` prints them: it may not be logged.
    public let urlRequest: URLRequest

    init(_ request: URLRequest, _ ffi: FFIAuthorizedRequest) throws(SessionError) {
        self.ffi = ffi
        var request = request
        do {
            request.setValue(try ffi.authorization(), forHTTPHeaderField: "Authorization")
            request.setValue(try ffi.proof(), forHTTPHeaderField: "DPoP")
        } catch { throw SessionError(error) }
        urlRequest = request
    }

    /// The API answered 401: renews the access token, unless that was done since. Then ``Session/authorize(_:)`` again.
    public func renew() async throws(SessionError) {
        try await sessionCall(ffi) { try await $0.renew() }
    }

    /// What it is.
    public var description: String { "AuthorizedRequest([redacted])" }
}
