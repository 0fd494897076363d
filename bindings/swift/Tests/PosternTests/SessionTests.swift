import Foundation
import Postern
import XCTest

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// A session's requests, over URLSession, to a running account center.
final class SessionTests: XCTestCase {
    private struct Setting {
        let world: World
        let simulator: Simulator
        let postern: Postern
        var account: URLRequest { URLRequest(url: world.accountCenter.appendingPathComponent("v1/account")) }
    }

    /// Somebody new is logged in.
    private func signedIn() async throws -> Setting {
        let world = try World.given()
        let simulator = Simulator(addresses: world.simulator)
        try await simulator.clearFaults()
        addTeardownBlock { try await simulator.clearFaults() }
        let person = try await simulator.person(["kind": "unsigned"])
        let folder = URL(fileURLWithPath: world.scratch).appendingPathComponent("swift-\(person.weChatPerson)")
        let postern = try Postern(world.config(folder: folder), vault: .memory)
        addTeardownBlock { postern.shutdown() }
        let announced = Announced(postern.login())
        try await announced.ready().choose(.weChat)
        let (request, step) = try await announced.authorizing()
        let answer = try await simulator.weChat(
            person,
            appID: request.providerAppID,
            scope: request.scope,
            state: request.state,
            decision: "agree"
        )
        try await step.answer(ProviderReply(state: answer.state, code: answer.code, errorCode: answer.errCode))
        try await announced.phoneNeeded().submit(person.phone)
        try await announced.smsCodeNeeded().submit(simulator.newestCode(person.phone))
        let registration = try await announced.next { if case .registrationNeeded(_, let step) = $0 { step } else { nil } }
        try await registration.submit(loginPassword: person.values["login_password"]?.text ?? "")
        _ = try await announced.loggedIn()
        return Setting(world: world, simulator: simulator, postern: postern)
    }

    private func status(_ response: URLResponse) -> Int { (response as? HTTPURLResponse)?.statusCode ?? 0 }

    func testARequestGetsTokenAndProofOfItsOwn() async throws {
        let setting = try await signedIn()
        for _ in 0..<2 {
            let (data, response) = try await setting.postern.session.data(for: setting.account)
            XCTAssertEqual(status(response), 200)
            XCTAssertNotNil(try JSONDecoder().decode(JSON.self, from: data)["account"]?["user_id"]?.text)
        }
    }

    func testABodyIsBoundToItsProof() async throws {
        let setting = try await signedIn()
        var request = setting.account
        request.httpMethod = "POST"
        request.httpBody = Data("{}".utf8)
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        // No such method there: an answer of the account center, after the proof with the body's hash was looked at or not.
        let (_, response) = try await setting.postern.session.data(for: request)
        XCTAssertEqual(status(response), 405)
        XCTAssertEqual(request.value(forHTTPHeaderField: "DPoP"), nil)
    }

    func testATokenThatIsNotAcceptedIsRenewedOnceForAllCallers() async throws {
        let setting = try await signedIn()
        let callers = 8
        try await setting.simulator.forgetRequests()
        try await setting.simulator.fault([
            "party": "gateway", "path": "/v1/account", "times": .number(Double(callers)), "fault": ["kind": "status", "status": 401],
        ])
        let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<callers {
                group.addTask {
                    let (_, response) = try await setting.postern.session.data(for: setting.account)
                    return (response as? HTTPURLResponse)?.statusCode ?? 0
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        XCTAssertEqual(statuses.filter { $0 == 200 }.count, callers, "\(statuses)")
        let requests = try await setting.simulator.gatewayRequests()
        XCTAssertEqual(requests.filter { $0 == "POST /v1/sessions/refresh" }.count, 1, "\(requests)")
        XCTAssertEqual(requests.filter { $0 == "GET /v1/account" }.count, 2 * callers)
    }

    func testA401ThatStaysIsTheAnswerAfterOneRepetition() async throws {
        let setting = try await signedIn()
        try await setting.simulator.forgetRequests()
        try await setting.simulator.fault(["party": "gateway", "path": "/v1/account", "fault": ["kind": "status", "status": 401]])
        let (_, response) = try await setting.postern.session.data(for: setting.account)
        XCTAssertEqual(status(response), 401)
        let requests = try await setting.simulator.gatewayRequests()
        XCTAssertEqual(requests.filter { $0 == "GET /v1/account" }.count, 2)
        guard case .signedIn = try await setting.postern.session.status() else { return XCTFail("an API's 401 signs nobody out") }
    }

    func testHeadersGoToNoOtherOrigin() async throws {
        let setting = try await signedIn()
        let elsewhere = URLRequest(url: setting.world.simulator.control.appendingPathComponent("people"))
        do {
            _ = try await setting.postern.session.authorize(elsewhere)
            XCTFail("authorized for another origin")
        } catch { XCTAssertEqual(error, .originNotAllowed) }
        let sent = Box<[URLRequest]>([])
        let (_, response) = try await setting.postern.session.data(for: elsewhere) { request in
            sent.change { $0.append(request) }
            return try await URLSession.shared.data(for: request)
        }
        XCTAssertEqual(status(response), 200)
        XCTAssertEqual(sent.value.map { $0.value(forHTTPHeaderField: "Authorization") }, [nil])
        XCTAssertEqual(sent.value.map { $0.value(forHTTPHeaderField: "DPoP") }, [nil])
    }

    func testARedirectIsReturnedAndNotFollowed() async throws {
        let setting = try await signedIn()
        var request = URLRequest(url: setting.world.simulator.wechat.appendingPathComponent("connect/authorize"))
        request.httpMethod = "POST"
        request.setValue("application/x-www-form-urlencoded", forHTTPHeaderField: "Content-Type")
        let back = setting.world.simulator.control.appendingPathComponent("people").absoluteString
        let form = "appid=wx5b1e0c6a7d000001&scope=snsapi_userinfo&state=s&decision=refuse&redirect_uri=\(back)"
        request.httpBody = Data(form.utf8)
        let (_, response) = try await setting.postern.session.data(for: request)
        XCTAssertEqual(status(response), 303)
        XCTAssertEqual(response.url?.path, "/connect/authorize")
    }

    func testM8AGuestsRequestGoesWithoutTheSession() async throws {
        let setting = try await signedIn()
        try await setting.postern.session.signOut()
        let (_, response) = try await setting.postern.session.data(for: setting.account)
        XCTAssertEqual(status(response), 401)
        do {
            _ = try await setting.postern.session.authorize(setting.account)
            XCTFail("authorized")
        } catch { XCTAssertEqual(error, .signedOut) }
    }

    func testACancelledTaskCancelsItsOwnRequestAndNothingElse() async throws {
        let setting = try await signedIn()
        try await setting.simulator.fault([
            "party": "gateway", "path": "/v1/account", "times": 1, "fault": ["kind": "delay", "milliseconds": 5_000],
        ])
        let began = Date()
        let task = Task { try await setting.postern.session.data(for: setting.account) }
        try await Task.sleep(nanoseconds: 200_000_000)
        task.cancel()
        let outcome = await task.result
        XCTAssertThrowsError(try outcome.get())
        XCTAssertLessThan(Date().timeIntervalSince(began), 4)
        guard case .signedIn = try await setting.postern.session.status() else { return XCTFail("signed out by a cancel") }
        let (_, response) = try await setting.postern.session.data(for: setting.account)
        XCTAssertEqual(status(response), 200)
    }

    func testARequestWithoutAURLOrWithAStrangeMethodIsRefused() async throws {
        let setting = try await signedIn()
        var request = setting.account
        request.httpMethod = "GET /evil"
        do {
            _ = try await setting.postern.session.authorize(request)
            XCTFail("authorized")
        } catch { XCTAssertEqual(error, .requestInvalid) }
    }

    func testTheAccountAndItsSessionsCanBeRead() async throws {
        let setting = try await signedIn()
        let account = try await setting.postern.account.summary()
        XCTAssertEqual(account.bindings.map(\.provider), ["wechat"])
        let sessions = try await setting.postern.account.sessions()
        XCTAssertEqual(sessions.map(\.isCurrent), [true])
        XCTAssertEqual(sessions.map(\.beganWith), ["wechat"])
        let told = try await setting.postern.session.signOut()
        XCTAssertTrue(told)
    }
}
