import Foundation
import XCTest

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Something went otherwise than described.
struct Trouble: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// The repository's folder: this file lies five levels below it.
let repository = (0..<6).reduce(URL(fileURLWithPath: #filePath)) { folder, _ in folder.deletingLastPathComponent() }

/// Both servers, as the file says that `POSTERN_TEST_ENV` names (contract/scenarios.md).
struct World: Decodable, Sendable {
    struct Addresses: Decodable, Sendable {
        let control: URL
        let wechat: URL
        let sms: URL
        let core: URL
        let face: URL
        let gateway: URL
    }

    let accountCenter: URL
    let appID: String
    let rootKey: String
    let simulator: Addresses
    let scratch: String

    enum CodingKeys: String, CodingKey {
        case accountCenter = "account_center"
        case appID = "app_id"
        case rootKey = "root_key"
        case simulator, scratch
    }

    /// The world that this run was given. Without one the test is skipped at a desk, and fails in CI.
    static func given() throws -> World {
        let environment = ProcessInfo.processInfo.environment
        guard let file = environment["POSTERN_TEST_ENV"] else {
            if environment["CI"] == "true" { throw Trouble("POSTERN_TEST_ENV is not set") }
            throw XCTSkip("needs servers: cargo xtask test --only swift")
        }
        return try JSONDecoder().decode(World.self, from: Data(contentsOf: URL(fileURLWithPath: file)))
    }
}

/// A test person, as the simulator made them; their values are those of somebody who exists nowhere.
struct Person: Decodable, Sendable {
    let phone: String
    let weChatPerson: String
    let values: [String: JSON]

    init(from decoder: any Decoder) throws {
        values = try decoder.singleValueContainer().decode([String: JSON].self)
        guard let phone = values["phone"]?.text, let weChatPerson = values["wechat_person"]?.text else {
            throw Trouble("a person without phone or WeChat: \(values.keys)")
        }
        self.phone = phone
        self.weChatPerson = weChatPerson
    }
}

/// What the provider's app on the phone answers, in its SDK's words.
struct WeChatAnswer: Decodable, Sendable {
    let errCode: Int32
    let code: String?
    let state: String?
}

/// The simulator as a test sees it: control, inbox, the WeChat app and the face SDK on the phone.
struct Simulator: Sendable {
    let addresses: World.Addresses

    func person(_ wish: JSON) async throws -> Person {
        try JSONDecoder().decode(Person.self, from: try await send("POST", addresses.control, "people", wish))
    }

    func fault(_ fault: JSON) async throws { _ = try await send("POST", addresses.control, "faults", fault) }
    func clearFaults() async throws { _ = try await send("DELETE", addresses.control, "faults") }
    func forgetRequests() async throws { _ = try await send("DELETE", addresses.control, "requests") }

    /// What the gateway saw since `forgetRequests`, as `METHOD path`.
    func gatewayRequests() async throws -> [String] {
        let seen = try json(try await send("GET", addresses.control, "requests?party=gateway"))["requests"]
        guard case .array(let requests)? = seen else { throw Trouble("no list of requests") }
        return requests.map { "\($0["method"]?.text ?? "") \($0["path"]?.text ?? "")" }
    }

    func inbox(_ phone: String) async throws -> JSON {
        try json(try await send("GET", addresses.sms, "inbox/\(phone)"))["messages"] ?? .array([])
    }

    /// The newest code; waits a little for it.
    func newestCode(_ phone: String) async throws -> String {
        for _ in 0..<50 {
            if let code = try await inbox(phone)[0]?["parameters"]?["code"]?.text { return code }
            try await Task.sleep(nanoseconds: 50_000_000)
        }
        throw Trouble("no SMS arrived")
    }

    func weChat(_ person: Person, appID: String, scope: String, state: String, decision: String) async throws -> WeChatAnswer {
        let body: JSON = [
            "appid": .string(appID), "scope": .string(scope), "state": .string(state),
            "person": .string(person.weChatPerson), "decision": .string(decision),
        ]
        return try JSONDecoder().decode(WeChatAnswer.self, from: try await send("POST", addresses.wechat, "phone/authorize", body))
    }

    /// The ticket that the face SDK gives.
    func face(_ session: String, outcome: String) async throws -> String {
        let answer = try await send("POST", addresses.face, "phone/sessions/\(session)/perform", ["outcome": .string(outcome)])
        guard let ticket = try json(answer)["ticket"]?.text else { throw Trouble("no ticket") }
        return ticket
    }

    private func json(_ data: Data) throws -> JSON { try JSONDecoder().decode(JSON.self, from: data) }

    private func send(_ method: String, _ party: URL, _ path: String, _ body: JSON? = nil) async throws -> Data {
        guard let url = URL(string: "\(party.absoluteString)/\(path)") else { throw Trouble("no URL: \(path)") }
        var request = URLRequest(url: url, timeoutInterval: 30)
        request.httpMethod = method
        if let body {
            request.httpBody = try JSONEncoder().encode(body)
            request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        }
        let (data, response) = try await URLSession.shared.data(for: request)
        guard let status = (response as? HTTPURLResponse)?.statusCode, 200..<300 ~= status else {
            throw Trouble("\(method) \(path) answered \(response)")
        }
        return data
    }
}
