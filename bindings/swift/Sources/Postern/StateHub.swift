internal import PosternFFI

/// Receives the generated states and gives out the public ones, in order, to whoever observes.
///
/// It knows neither `Login` nor `Postern`: a login that nobody holds goes, and its native side with it.
final class StateHub: FFILoginListener {
    private struct Inside {
        var state = LoginState.resolving
        var observers: [Observer] = []
        var isClosed = false
    }

    private let inside = Locked(Inside())
    private let warn: @Sendable (String) -> Void

    init(warn: @escaping @Sendable (String) -> Void) {
        self.warn = warn
    }

    deinit {
        close()
    }

    var state: LoginState { inside.withLock { $0.state } }
    var isClosed: Bool { inside.withLock { $0.isClosed } }

    /// On a thread of the SDK, one state at a time. Nothing that an observer throws reaches the generated code.
    func onState(state ffi: FFILoginState) {
        let state = LoginState(ffi)
        let told = inside.withLock { inside -> [Observer] in
            // The library's first word may be what is shown here already.
            if inside.isClosed || (state.isResolving && inside.state.isResolving) { return [] }
            inside.state = state
            for observer in inside.observers { observer.queue(state) }
            return inside.observers
        }
        for observer in told { observer.tell() }
    }

    /// Tells the present state and all later ones, until the observer ends or this hub is closed.
    func observe(
        _ hear: @escaping @Sendable (LoginState) throws -> Void,
        onEnd: @escaping @Sendable () -> Void = {}
    ) -> Observer {
        let warn = warn
        let observer = Observer(
            hear: { state in
                do { try hear(state) } catch {
                    // Its text may hold anything.
                    warn("an observer threw \(type(of: error))")
                }
            },
            onEnd: onEnd
        )
        let isClosed = inside.withLock { inside in
            observer.queue(inside.state)
            if !inside.isClosed { inside.observers.append(observer) }
            return inside.isClosed
        }
        observer.tell()
        if isClosed { observer.end() }
        return observer
    }

    func forget(_ observer: Observer) {
        inside.withLock { inside in inside.observers.removeAll { $0 === observer } }
        observer.end()
    }

    /// Ends all observers. The last state stays readable.
    func close() {
        let ended = inside.withLock { inside in
            defer { inside.observers = [] }
            inside.isClosed = true
            return inside.observers
        }
        for observer in ended { observer.end() }
    }
}

/// One observer. Its states come one after the other and in order, from whichever thread; no lock is held while the app's code runs.
final class Observer: Sendable {
    private struct Inside {
        var hear: (@Sendable (LoginState) -> Void)?
        var onEnd: (@Sendable () -> Void)?
        var waiting: [LoginState] = []
        var isTelling = false
    }

    private let inside: Locked<Inside>

    init(hear: @escaping @Sendable (LoginState) -> Void, onEnd: @escaping @Sendable () -> Void) {
        inside = Locked(Inside(hear: hear, onEnd: onEnd))
    }

    func queue(_ state: LoginState) {
        inside.withLock { inside in
            if inside.hear != nil { inside.waiting.append(state) }
        }
    }

    /// Tells what waits, unless another thread is at it: that one goes on until nothing waits.
    func tell() {
        while let (state, hear) = next() {
            hear(state)
            inside.withLock { $0.isTelling = false }
        }
    }

    private func next() -> (LoginState, @Sendable (LoginState) -> Void)? {
        inside.withLock { inside in
            guard !inside.isTelling, let hear = inside.hear, !inside.waiting.isEmpty else { return nil }
            inside.isTelling = true
            return (inside.waiting.removeFirst(), hear)
        }
    }

    /// Lets the app's closures go. May be repeated.
    func end() {
        let (hear, onEnd) = inside.withLock { inside in
            defer {
                inside.hear = nil
                inside.onEnd = nil
                inside.waiting = []
            }
            return (inside.hear, inside.onEnd)
        }
        onEnd?()
        withExtendedLifetime(hear) {}
    }
}
