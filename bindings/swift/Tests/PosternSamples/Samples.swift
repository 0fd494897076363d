// The samples of README.md, compiled. `ReadmeTests` sees to it that both are the same.
import Foundation
import Postern

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

// What the samples talk about and an app has already.
struct Order: Decodable, Sendable {}
@MainActor protocol Screens: Sendable {
    func show(_ page: String)
    func wait()
    func ask(_ question: String, hint: String?) async -> String
}
let keychain: any Vault = NoVault()
struct NoVault: Vault {
    let place = "nowhere"
    func load(_: String) throws -> Data? { nil }
    func store(_: Data, as _: String) throws { throw VaultError.unavailable }
    func delete(_: String) throws {}
}

// sample: make
func makePostern(accountCenter: URL, api: URL) throws -> Postern {
    let rootKey = "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"
    var config = PosternConfig(accountCenter: accountCenter, appID: "bank-ios", rootKey: rootKey)
    config.apiOrigins = [api]
    let support = try FileManager.default.url(for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
    config.dataDirectory = support.appendingPathComponent("postern")
    return try Postern(config, vault: keychain, adapters: [WeChatAdapter()])
}
// end

// sample: adapter
final class WeChatAdapter: ProviderAdapter {
    let provider = Provider.weChat

    var isInstalled: Bool { weChatIsInstalled() }

    func authorize(_ request: AuthorizationRequest, reply: any ProviderReplies) throws {
        openWeChat(appID: request.providerAppID, scope: request.scope, state: request.state) { state, code, errorCode in
            reply.answered(ProviderReply(state: state, code: code, errorCode: errorCode))
        }
    }
}
// end

// Stand for the provider's own SDK.
@MainActor func weChatIsInstalled() -> Bool { false }
@MainActor func openWeChat(appID _: String, scope _: String, state _: String, answer _: @escaping @Sendable (String?, String?, Int32) -> Void) {}

// sample: login
@MainActor
func lead(_ login: Login, on screens: any Screens) async {
    for await state in login.states {
        // What was typed cannot be right: nothing was sent, and the same step may be asked again.
        while let complaint = await answer(state, on: screens) { screens.show(complaint) }
        if case .loggedIn = state { return }
    }
}

@MainActor
func answer(_ state: LoginState, on screens: any Screens) async -> String? {
    do {
        switch state {
        case .ready: screens.show("buttons")
        case .phoneNeeded(let info, let step):
            try await step.submit(await screens.ask("phone number", hint: info.failure?.code))
        case .smsCodeNeeded(let info, let step):
            try await step.submit(await screens.ask("code sent to \(info.sentTo)", hint: info.failure?.code))
        case .verificationNeeded(let info, let step):
            try await step.submit(loginPassword: await screens.ask("login password", hint: "\(info.attemptsLeft) left"))
        case .registrationNeeded(let info, let step):
            try await step.submit(loginPassword: await screens.ask("new password", hint: "\(info.rules.minLength) at least"))
        case .faceNeeded(let info, let step):
            try await step.submit(ticket: await screens.ask("face", hint: info.alternative.en))
        case .refused(let refusal, _): screens.show("refused: \(refusal.kind)")
        case .stopped(let stop, _): screens.show("stopped: \(stop.reason)")
        case .loggedIn: screens.show("home")
        case .authorizing, .resolving: screens.wait()
        }
        return nil
    } catch StepError.superseded, StepError.closed {
        return nil  // A newer state is what the person sees next.
    } catch {
        return error.localizedDescription
    }
}
// end

// sample: session
func orders(_ postern: Postern, at url: URL) async throws -> [Order] {
    let (data, _) = try await postern.session.data(for: URLRequest(url: url))
    return try JSONDecoder().decode([Order].self, from: data)
}
// end

// sample: identity
func openOrders(_ postern: Postern, on screens: any Screens) async throws {
    switch try await postern.requireIdentity("order.list") {
    case .goOn: await screens.show("orders")
    case .goOnAsGuest: await screens.show("orders of a guest")
    case .askNow: await screens.show("buttons")
    }
}
// end

// sample: status
func greeting(_ postern: Postern) async throws -> String {
    switch try await postern.session.status() {
    case .signedIn(let account): "Welcome back, \(account.nickname ?? account.phoneMasked)"
    case .signedOut: "Please log in"
    case .needsLogin(let reason): "Please log in again: \(reason)"
    case .unavailable: "Unlock the phone first"
    }
}
// end

#if canImport(SwiftUI)
    import SwiftUI

    // sample: swiftui
    struct LoginScreen: View {
        let login: Login
        @State private var state = LoginState.resolving

        var body: some View {
            Group {
                switch state {
                case .ready(_, let step):
                    Button("WeChat") { Task { try await step.choose(.weChat) } }
                case .loggedIn(let account): Text(account.nickname ?? account.phoneMasked)
                default: ProgressView()
                }
            }
            .task { for await next in login.states { state = next } }
        }
    }
// end
#endif
