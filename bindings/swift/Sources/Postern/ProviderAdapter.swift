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
    @MainActor func authorize(_ request: AuthorizationRequest, reply: any ProviderReplies) throws

    /// A new process found the attempt `request`: the person may still be at the provider. It may not be opened again; hand over an answer that is here
    /// already, or one that comes. By default nothing: the app shows that it waits, and the step's `cancel()` leads back.
    @MainActor func resume(_ request: AuthorizationRequest, reply: any ProviderReplies) throws
}

extension ProviderAdapter {
    /// Nothing.
    public func resume(_: AuthorizationRequest, reply _: any ProviderReplies) {}
}

/// Where a ``ProviderAdapter`` says what came of an attempt. The first word counts; a later one, or one for an older attempt, changes nothing.
public protocol ProviderReplies: Sendable {
    /// The provider's answer, as its SDK gave it.
    func answered(_ reply: ProviderReply)
    /// The provider's app is not installed, or too old.
    func appMissing()
    /// The app came to the foreground again, and the provider did not answer.
    func returnedWithoutAnswer()
    /// The person pressed back; to the buttons.
    func cancelled()
}

/// Hands the words to the step.
private final class StepReplies: ProviderReplies, Redacted {
    private typealias Word = @Sendable (AuthorizingStep) async throws -> Void

    private let step: AuthorizingStep
    private let newest = Locked<Task<Void, Never>?>(nil)

    init(_ step: AuthorizingStep) {
        self.step = step
    }

    func answered(_ reply: ProviderReply) { send { try await $0.answer(reply) } }
    func appMissing() { send { try await $0.appMissing() } }
    func returnedWithoutAnswer() { send { try await $0.returnedWithoutAnswer() } }
    func cancelled() { send { try await $0.cancel() } }

    var description: String { "ProviderReplies" }

    /// Each word waits for the one before it: two tasks of their own could overtake each other.
    private func send(_ word: @escaping Word) {
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
            if isNewest(step) { lead(adapter, request, StepReplies(step)) }
        }
    }

    @MainActor
    private func lead(_ adapter: any ProviderAdapter, _ request: AuthorizationRequest, _ replies: any ProviderReplies) {
        do {
            if request.isResumed {
                try adapter.resume(request, reply: replies)
            } else if adapter.isInstalled {
                try adapter.authorize(request, reply: replies)
            } else {
                replies.appMissing()
            }
        } catch {
            warn("the adapter of \(request.provider) threw \(type(of: error))")
            replies.answered(ProviderReply(state: request.state, errorCode: Self.providerFailed))
        }
    }
}
