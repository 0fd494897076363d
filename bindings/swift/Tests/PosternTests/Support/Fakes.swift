import Foundation
import Postern
import XCTest

/// An account center in a few lines: it answers a `Transport` as the contract says, without a network and without a database.
final class FakeCenter: Transport {
    /// What `POST /v1/login` does.
    struct Manners: Sendable {
        /// A person who is known already is logged in at once.
        var knowsThePerson = false
        /// Waited for before each answer.
        var delay: TimeInterval = 0
        /// Thrown instead of an answer.
        var failure: (any Error)?
    }

    static let token = "eyJ.SECRET-access-token.x"
    static let refreshToken = "rt_SECRET-refresh-token"

    let manners = Box(Manners())
    private let seen = Box<[String]>([])

    /// What was asked, as `METHOD /path`.
    var requests: [String] { seen.value }
    var logins: Int { requests.filter { $0 == "POST /v1/login" }.count }

    func send(_ request: TransportRequest) async throws -> TransportReply {
        seen.change { $0.append("\(request.method) \(request.url.path)") }
        let manners = manners.value
        if manners.delay > 0 { try await Task.sleep(nanoseconds: UInt64(manners.delay * 1_000_000_000)) }
        if let failure = manners.failure { throw failure }
        let asked = try? JSONDecoder().decode(JSON.self, from: request.body)
        return TransportReply(
            status: 200,
            headers: ["content-type": "application/json", "dpop-nonce": "nonce-\(seen.value.count)"],
            body: try JSONEncoder().encode(answer(request.url.path, asked, manners))
        )
    }

    private func answer(_ path: String, _ asked: JSON?, _ manners: Manners) -> JSON {
        if path.hasSuffix("/login-options") { return Self.options }
        if asked?["answer"]?["phone"] != nil {
            return step([
                "step": "sms_code", "sent_to": "138****0000", "digits": 6, "expires_in": 600, "resend_after": 60, "attempts_left": 5,
            ])
        }
        return manners.knowsThePerson ? Self.done : step(["step": "phone"])
    }

    private func step(_ next: JSON) -> JSON {
        ["login": "lg_AAAAAAAAAAAAAAAAAAAAAA", "step_id": .string("step-\(seen.value.count)"), "expires_in": 600, "next": next]
    }

    private static let options: JSON = [
        "app_id": "bank-ios",
        "issuer": "https://login.bank.example",
        "providers": .array([
            [
                "provider": "wechat", "provider_app_id": "wx1", "scope": "snsapi_userinfo",
                "label": ["zh": "微信登录", "en": "Continue with WeChat"],
            ]
        ]),
        "key_list": "",
    ]

    private static let done: JSON = [
        "next": ["step": "done"],
        "account": [
            "user_id": "u-SECRET", "identification": "unsigned", "phone_masked": "138****0000",
            "bindings": .array([["provider": "wechat", "bound_at": 1_767_225_600]]),
        ],
        "session": [
            "session_id": "s1", "access_token": .string(token), "token_type": "DPoP", "expires_in": 300,
            "refresh_token": .string(refreshToken), "refresh_expires_in": 2_592_000,
        ],
    ]

    /// A configuration that fits, over a folder that goes with the test.
    static func config(_ test: XCTestCase) throws -> PosternConfig {
        let vectors = try JSONDecoder().decode(
            JSON.self,
            from: Data(contentsOf: repository.appendingPathComponent("contract/vectors/key_list.json"))
        )
        guard let account = URL(string: "https://login.bank.example"), let api = URL(string: "https://api.bank.example") else {
            throw Trouble("no URL")
        }
        var config = PosternConfig(accountCenter: account, appID: "bank-ios", rootKey: vectors["root"]?["public_key"]?.text ?? "")
        config.apiOrigins = [api]
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("postern-\(UUID().uuidString)")
        config.dataDirectory = folder
        test.addTeardownBlock { try? FileManager.default.removeItem(at: folder) }
        return config
    }
}

/// What no error of the SDK may ever carry on.
struct Boom: Error, CustomStringConvertible {
    let description = "SECRET-in-an-error"
}

/// A vault in memory that does what a test tells it.
final class FakeVault: Vault {
    /// Called before each operation with its name and the blob's; throws what the vault shall throw.
    let before = Box<@Sendable (String, String) throws -> Void>({ _, _ in })
    /// Whatever the app's own vault would hold on to.
    let holds = Box<AnyObject?>(nil)
    private let blobs = Box<[String: Data]>([:])

    var place: String { "a drawer" }

    func load(_ name: String) throws -> Data? {
        try before.value("load", name)
        return blobs.value[name]
    }

    func store(_ value: Data, as name: String) throws {
        try before.value("store", name)
        blobs.change { $0[name] = value }
    }

    func delete(_ name: String) throws {
        try before.value("delete", name)
        blobs.change { _ = $0.removeValue(forKey: name) }
    }
}

/// Keeps what it is told.
final class FakeLog: LogSink {
    let lines = Box<[String]>([])
    /// Called with each message.
    let also = Box<@Sendable () -> Void>({})

    func log(_ level: LogLevel, area: String, message: String) throws {
        also.value()
        lines.change { $0.append("\(level) \(area): \(message)") }
        throw Boom()
    }
}

/// Waits for something that other threads bring about.
func eventually(_ what: String, _ holds: () throws -> Bool) async throws {
    for _ in 0..<1_000 {
        if try holds() { return }
        try await Task.sleep(nanoseconds: 5_000_000)
    }
    throw Trouble("never: \(what)")
}

extension Announced {
    /// The next state, which has to be this one; what `pick` takes out of it.
    func next<Value>(_ pick: (LoginState) -> Value?) async throws -> Value {
        let state = try await next(within: 20)
        guard let value = pick(state) else { throw Trouble("announced \(state)") }
        return value
    }

    func ready() async throws -> ReadyStep { try await next { if case .ready(_, let step) = $0 { step } else { nil } } }
    func authorizing() async throws -> (AuthorizationRequest, AuthorizingStep) {
        try await next { if case .authorizing(let request, let step) = $0 { (request, step) } else { nil } }
    }
    func phoneNeeded() async throws -> PhoneStep { try await next { if case .phoneNeeded(_, let step) = $0 { step } else { nil } } }
    func smsCodeNeeded() async throws -> SMSCodeStep { try await next { if case .smsCodeNeeded(_, let step) = $0 { step } else { nil } } }
    func loggedIn() async throws -> AccountSummary { try await next { if case .loggedIn(let account) = $0 { account } else { nil } } }
    func stopped() async throws -> (Stop, StoppedStep) {
        try await next { if case .stopped(let stop, let step) = $0 { (stop, step) } else { nil } }
    }

    /// From the buttons to the question for the phone number, as a person who agrees.
    func toPhone() async throws -> PhoneStep {
        try await agree(try await ready())
        return try await phoneNeeded()
    }

    /// The button, and consent at WeChat.
    func agree(_ ready: ReadyStep) async throws {
        try await ready.choose(.weChat)
        let (request, step) = try await authorizing()
        try await step.answer(ProviderReply(state: request.state, code: "0815", errorCode: 0))
    }
}

/// What a step threw; nothing where it did not.
func thrown(_ call: () async throws -> Void) async -> StepError? {
    do {
        try await call()
        return nil
    } catch { return error as? StepError }
}
