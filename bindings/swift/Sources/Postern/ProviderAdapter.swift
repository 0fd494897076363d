internal import PosternFFI

/// Leads a person to one provider and back: a few lines over the provider's own SDK.
///
/// Its methods run on the main actor, where the providers' SDKs want to be called.
public protocol ProviderAdapter: Sendable {
    /// The provider it serves.
    var provider: Provider { get }

    /// Whether the provider's app is there (where it needs none: true). Asked before each ``authorize(_:reply:)``.
    @MainActor var isInstalled: Bool { get }

    /// Opens the provider's app or page. Returns at once; `reply` hears later what came of it. What it throws counts as the provider's failure.
    @MainActor func authorize(_ request: AuthorizationRequest, reply: ProviderReplies) throws
}

/// Where a ``ProviderAdapter`` says what came of an attempt. The first word counts; a later one, or one for an older attempt, changes nothing.
public final class ProviderReplies: Sendable, Redacted {
    private let step: AuthorizingStep
    private let newest = Locked<Task<Void, Never>?>(nil)

    init(_ step: AuthorizingStep) {
        self.step = step
    }

    /// The provider's answer, as its SDK gave it.
    public func answered(_ reply: ProviderReply) {
        send { step throws(StepError) in try await step.answer(reply) }
    }

    /// The provider's app is not installed, or too old.
    public func appMissing() {
        send { step throws(StepError) in try await step.appMissing() }
    }

    /// The app came to the foreground again, and the provider did not answer.
    public func returnedWithoutAnswer() {
        send { step throws(StepError) in try await step.returnedWithoutAnswer() }
    }

    /// The person pressed back; to the buttons.
    public func cancelled() {
        send { step throws(StepError) in try await step.cancel() }
    }

    /// What it is.
    public var description: String { "ProviderReplies" }

    /// Each word waits for the one before it: two tasks of their own could overtake each other.
    private func send(_ word: @escaping @Sendable (AuthorizingStep) async throws(StepError) -> Void) {
        newest.withLock { newest in
            let before = newest
            newest = Task { [step] in
                await before?.value
                // Overtaken, or of another attempt: the states say what holds.
                try? await word(step)
            }
        }
    }
}

/// Calls the adapters as the states ask for it.
final class AdapterDesk: Sendable {
    /// The number that every provider's SDK uses for "failed, for no reason that I name".
    private static let providerFailed: Int32 = -1

    private let adapters: [Provider: any ProviderAdapter]
    private let warn: @Sendable (String) -> Void

    init?(_ adapters: [any ProviderAdapter], warn: @escaping @Sendable (String) -> Void) {
        if adapters.isEmpty { return nil }
        self.adapters = Dictionary(adapters.map { ($0.provider, $0) }, uniquingKeysWith: { _, last in last })
        self.warn = warn
    }

    /// Leads the person to the provider, unless that was overtaken before the main actor came to it.
    func hear(_ state: LoginState, isNewest: @escaping @Sendable (AuthorizingStep) -> Bool) {
        guard case .authorizing(let request, let step) = state, let adapter = adapters[request.provider] else { return }
        Task { @MainActor in
            if isNewest(step) { lead(adapter, request, ProviderReplies(step)) }
        }
    }

    @MainActor
    private func lead(_ adapter: any ProviderAdapter, _ request: AuthorizationRequest, _ replies: ProviderReplies) {
        guard adapter.isInstalled else { return replies.appMissing() }
        do {
            try adapter.authorize(request, reply: replies)
        } catch {
            warn("the adapter of \(request.provider) threw \(type(of: error))")
            replies.answered(ProviderReply(state: request.state, errorCode: Self.providerFailed))
        }
    }
}
