import Foundation
import Postern
import XCTest

final class ObserverTests: XCTestCase {
    private let center = FakeCenter()
    private let log = FakeLog()

    private func postern() throws -> Postern {
        let postern = try Postern(FakeCenter.config(self), vault: .memory, transport: center, log: log, logLevel: .debug)
        addTeardownBlock { postern.shutdown() }
        return postern
    }

    func testEveryStreamGetsThePresentStateAndEachLaterOneInOrder() async throws {
        let login = try postern().login()
        let announced = Announced(login)
        let ready = try await announced.ready()
        let late = login.states
        try await announced.agree(ready)
        try await announced.phoneNeeded().submit("13800000000")
        _ = try await announced.smsCodeNeeded()
        var names: [String] = []
        for await state in late {
            if case .resolving = state { continue }
            names.append(state.name)
            if names.count == 4 { break }
        }
        XCTAssertEqual(names, ["ready", "authorizing", "phone_needed", "sms_code_needed"])
    }

    func testAStreamEndsWithItsLogin() async throws {
        let login = try postern().login()
        _ = try await Announced(login).ready()
        let states = login.states
        let task = Task { await states.reduce(into: 0) { count, _ in count += 1 } }
        login.close()
        let heard = await task.value
        XCTAssertGreaterThanOrEqual(heard, 1)
        XCTAssertTrue(login.isClosed)
        guard case .ready = login.state else { return XCTFail("the last state stays readable") }
        let after = await login.states.reduce(into: 0) { count, _ in count += 1 }
        XCTAssertEqual(after, 1)
    }

    func testAnObserverThatThrowsHarmsNobody() async throws {
        let login = try postern().login()
        let throwing = login.observe { _ in throw Boom() }
        let announced = Announced(login)
        try await announced.toPhone().submit("13800000000")
        _ = try await announced.smsCodeNeeded()
        throwing.cancel()
        let lines = log.lines.value
        XCTAssertTrue(lines.contains("warn swift: an observer threw Boom"), "\(lines)")
        XCTAssertFalse(lines.contains { $0.contains("SECRET") }, "\(lines)")
    }

    func testAnObserverThatIsCancelledOrLetGoHearsNothingMore() async throws {
        let login = try postern().login()
        let announced = Announced(login)
        let ready = try await announced.ready()
        let heard = Box(0)
        let cancelled = login.observe { _ in heard.change { $0 += 1 } }
        cancelled.cancel()
        cancelled.cancel()
        _ = login.observe { _ in heard.change { $0 += 1 } }
        XCTAssertEqual(heard.value, 2, "the present state is told at once")
        try await ready.choose(.weChat)
        _ = try await announced.authorizing()
        XCTAssertEqual(heard.value, 2)
    }

    func testAnObserverMayAnswerFromInside() async throws {
        let login = try postern().login()
        let observation = login.observe { state in
            switch state {
            case .ready(_, let step): Task { try await step.choose(.weChat) }
            case .authorizing(let request, let step):
                Task { try await step.answer(ProviderReply(state: request.state, code: "0815", errorCode: 0)) }
            case .phoneNeeded(_, let step): Task { try await step.submit("13800000000") }
            default: break
            }
        }
        try await eventually("the code is asked") { if case .smsCodeNeeded = login.state { true } else { false } }
        observation.cancel()
    }

    func testShutdownFromAnObserverEndsEverythingAndDoesNotWaitForItself() async throws {
        let postern = try postern()
        let login = postern.login()
        let announced = Announced(login)
        let ready = try await announced.ready()
        let done = Box(false)
        let observation = login.observe { state in
            if case .authorizing = state {
                postern.shutdown()
                done.value = true
            }
        }
        let states = login.states
        _ = await thrown { try await ready.choose(.weChat) }
        try await eventually("shut down") { done.value }
        for await _ in states {}
        XCTAssertTrue(login.isClosed)
        XCTAssertTrue(postern.login().isClosed)
        let outcome = await thrown { try await ready.choose(.weChat) }
        XCTAssertNotNil(outcome)
        observation.cancel()
    }

    func testTheLoginUnderWayIsTheSameForEveryView() async throws {
        let postern = try postern()
        let first = postern.login()
        XCTAssertTrue(first === postern.login())
        first.close()
        XCTAssertFalse(first === postern.login())
    }

    func testAfterALoginTheNextOneIsNew() async throws {
        center.manners.change { $0.knowsThePerson = true }
        let postern = try postern()
        let first = postern.login()
        let announced = Announced(first)
        try await announced.agree(try await announced.ready())
        let account = try await announced.loggedIn()
        XCTAssertEqual(account.identification, .unsigned)
        XCTAssertFalse(first === postern.login())
        guard case .loggedIn = first.state else { return XCTFail("a view that still shows it keeps its state") }
    }
}
