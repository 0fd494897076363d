internal import PosternFFI

/// The SDK. An app makes one and keeps it.
///
/// It owns threads until ``shutdown()``, or until nobody holds it any more.
public final class Postern: Sendable, Redacted {
    private struct Inside {
        var login: Login?
        var desk: AdapterDesk?
        var isShutDown = false
    }

    private let inside: Locked<Inside>
    private let ffi: Lease<FFIPostern>
    private let log: Locked<(any LogSink)?>

    /// The session of this installation.
    public let session: Session

    /// The account of who is logged in.
    public let account: Account

    /// The SDK over the app's own vault. Opens no connection and does not read the vault.
    ///
    /// - Parameters:
    ///   - vault: where secrets are kept: the Keychain
    ///   - deviceKey: a key in hardware; without it a software key is kept in the vault
    ///   - transport: the app's HTTP stack; without it the SDK's own is used
    ///   - trust: a decision about certificates; without it the platform's
    ///   - adapters: one for each provider that the SDK shall lead people to by itself
    ///   - log: hears messages of `logLevel` and above
    public convenience init(
        _ config: PosternConfig,
        vault: any Vault,
        deviceKey: (any DeviceKey)? = nil,
        transport: (any Transport)? = nil,
        trust: (any TrustDecision)? = nil,
        adapters: [any ProviderAdapter] = [],
        log: (any LogSink)? = nil,
        logLevel: LogLevel = .info
    ) throws(SetupError) {
        let host = HostParts(deviceKey, transport, trust, log, logLevel)
        try self.init(try config.ffi(), host, adapters) { config, host in
            try FFIPostern(
                config: config, vault: VaultAdapter(vault), deviceKey: host.key, transport: host.http, trust: host.trust, log: host.log,
                logLevel: host.level)
        }
    }

    /// The same over a vault that comes with the SDK; for tests and for machines without a Keychain.
    public convenience init(
        _ config: PosternConfig,
        vault: BuiltInVault,
        deviceKey: (any DeviceKey)? = nil,
        transport: (any Transport)? = nil,
        trust: (any TrustDecision)? = nil,
        adapters: [any ProviderAdapter] = [],
        log: (any LogSink)? = nil,
        logLevel: LogLevel = .info
    ) throws(SetupError) {
        let host = HostParts(deviceKey, transport, trust, log, logLevel)
        try self.init(try config.ffi(), host, adapters) { config, host in
            try FFIPostern.withBuiltInVault(
                config: config, vault: vault.ffi, deviceKey: host.key, transport: host.http, trust: host.trust, log: host.log,
                logLevel: host.level)
        }
    }

    private init(
        _ config: FFIConfig, _ host: HostParts, _ adapters: [any ProviderAdapter],
        _ make: (FFIConfig, HostParts) throws -> FFIPostern
    ) throws(SetupError) {
        let sink = Locked(host.sink)
        self.log = sink
        inside = Locked(Inside(desk: AdapterDesk(adapters, warn: Self.warning(to: sink))))
        do {
            let made = try make(config, host)
            session = Session(try made.session())
            account = Account(try made.account())
            ffi = Lease(made)
        } catch { throw SetupError(error) }
    }

    /// Where the session is kept, for people.
    public var vaultDescription: String { (try? ffi.held?.vaultDescription()) ?? "nowhere: the SDK is shut down" }

    /// The buttons to show here, in their order (L1, L12).
    public func loginOptions() async throws(OptionsError) -> [LoginButton] {
        guard let ffi = ffi.held else { throw .closed }
        do { return try await ffi.loginOptions().map(LoginButton.init) } catch { throw OptionsError(error) }
    }

    /// The login that is under way, also one that a process which died has left; a new one where there is none, or where the last one succeeded.
    ///
    /// A view that is made anew calls it again and gets the same one. After ``shutdown()`` it gives a closed one, which announces nothing.
    public func login() -> Login {
        let warn = Self.warning(to: log)
        let (login, last, isNew) = inside.withLock { inside -> (Login, Login?, Bool) in
            if let present = inside.login, !present.isClosed, !present.state.isLoggedIn { return (present, nil, false) }
            let last = inside.login
            let login = Login(desk: inside.desk, warn: warn)
            if !inside.isShutDown { inside.login = login }
            return (login, last, true)
        }
        last?.close()
        if isNew { login.begin(ffi.held) }
        return login
    }

    /// What to do before `operation` (such as `order.list`), which needs an identity (W8).
    public func requireIdentity(_ operation: String) async throws(StepError) -> IdentityAdvice {
        IdentityAdvice(try await stepCall(ffi.held) { try await $0.requireIdentity(operation: operation) })
    }

    /// Ends the SDK and its threads. May be repeated, and called from an observer. What is under way throws `closed`; what was kept stays kept, and
    /// nothing of the app is held any more.
    ///
    /// Waits up to two seconds for a vault that is at work, unless it is called from a thread of the SDK.
    public func shutdown() {
        let last = inside.withLock { inside in
            defer { inside = Inside(login: nil, desk: nil, isShutDown: true) }
            return inside
        }
        last.login?.close()
        // Its only failure is a bug in the library, and then there is nothing left to end.
        try? ffi.held?.shutdown()
        session.end()
        account.end()
        ffi.end()
        let sink = log.withLock { log in
            defer { log = nil }
            return log
        }
        // What of the app goes with these may call the SDK: no lock is held.
        withExtendedLifetime((last, sink)) {}
    }

    /// What it is.
    public var description: String { "Postern" }

    private static func warning(to log: Locked<(any LogSink)?>) -> @Sendable (String) -> Void {
        { message in
            // There is nobody to tell that the log failed.
            try? log.withLock { $0 }?.log(.warn, area: "swift", message: message)
        }
    }
}
