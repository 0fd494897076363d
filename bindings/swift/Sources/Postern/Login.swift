internal import PosternFFI

/// A login, from the button to the kept session.
///
/// One that waits for the person is kept through the death of the process: a later ``Postern/login()`` goes on from there.
public final class Login: Sendable, Redacted {
    private enum Native {
        case beginning
        case begun(FFILogin)
        case ended
    }

    private let hub: StateHub
    private let native = Locked(Native.beginning)

    /// Has not begun yet: beginning calls the app's log, and nobody may hold a lock meanwhile.
    init(desk: AdapterDesk?, warn: @escaping @Sendable (String) -> Void) {
        hub = StateHub(warn: warn)
        guard let desk else { return }
        // Not the hub itself: it holds the desk.
        let isNewest = { @Sendable [weak hub] (step: AuthorizingStep) in hub?.isAt(step) ?? false }
        _ = hub.observe { state in desk.hear(state, isNewest: isNewest) }
    }

    /// Begins it in the library. Where the SDK is shut down it is closed from the beginning.
    func begin(_ postern: FFIPostern?) {
        guard let begun = try? postern?.login(listener: hub) else { return close() }
        let isWanted = native.withLock { native in
            guard case .beginning = native else { return false }
            native = .begun(begun)
            return true
        }
        // Closed by another thread meanwhile.
        if !isWanted { try? begun.stopListening() }
    }

    /// Where it stands now.
    public var state: LoginState { hub.state }

    /// Where it stands, and each later state in order. Every call gives a stream of its own, which ends when this login is closed or goes.
    public var states: AsyncStream<LoginState> {
        AsyncStream { continuation in
            let observer = hub.observe({ continuation.yield($0) }, onEnd: { continuation.finish() })
            continuation.onTermination = { [weak hub] _ in hub?.forget(observer) }
        }
    }

    /// Whether it announces nothing any more.
    public var isClosed: Bool { hub.isClosed }

    /// Tells `observer` the present state before it returns, and each later one in order on a thread of the SDK, until the returned object is cancelled
    /// or goes. The observer must return soon. What it throws is logged by the name of its type, and the login goes on.
    public func observe(_ observer: @escaping @Sendable (LoginState) throws -> Void) -> LoginObservation {
        LoginObservation(hub: hub, observer: hub.observe(observer))
    }

    /// Hands over a provider's answer without knowing the state: for an app that the provider's answer has just started.
    ///
    /// Throws ``StepError/strayAnswer`` where no attempt waits for it; nothing is changed then.
    public func deliver(_ reply: ProviderReply) async throws(StepError) {
        try await stepCall(await begun()) { login in
            try await login.deliver(state: reply.state, code: reply.code, errorCode: reply.errorCode)
        }
    }

    /// The library's login; nothing after `close`. Another thread may be about to begin it.
    private func begun() async -> FFILogin? {
        while true {
            switch native.withLock({ $0 }) {
            case .beginning: await Task.yield()
            case .begun(let login): return login
            case .ended: return nil
            }
        }
    }

    /// Ends the announcements. What the person has done so far is kept. May be repeated.
    public func close() {
        hub.close()
        let last = native.withLock { native in
            defer { native = .ended }
            return native
        }
        // The only failure is that it was done before.
        if case .begun(let login) = last { try? login.stopListening() }
    }

    /// Where it stands, redacted.
    public var description: String { "Login(\(state))" }
}

extension StateHub {
    fileprivate func isAt(_ step: AuthorizingStep) -> Bool {
        if case .authorizing(_, let newest) = state { newest === step } else { false }
    }
}

/// An observer at work. It ends when this is cancelled, or when nobody holds it any more.
public final class LoginObservation: Sendable, Redacted {
    private let hub: WeakHub
    private let observer: Observer

    init(hub: StateHub, observer: Observer) {
        self.hub = WeakHub(hub)
        self.observer = observer
    }

    deinit {
        cancel()
    }

    /// Ends it. One state may still be on its way. May be repeated.
    public func cancel() {
        if let hub = hub.hub { hub.forget(observer) } else { observer.end() }
    }

    /// What it is.
    public var description: String { "LoginObservation" }
}

private struct WeakHub: @unchecked Sendable {
    private(set) weak var hub: StateHub?

    init(_ hub: StateHub) {
        self.hub = hub
    }
}
