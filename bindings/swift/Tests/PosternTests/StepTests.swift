import Foundation
import Postern
import XCTest

final class StepTests: XCTestCase {
    private let center = FakeCenter()

    private func postern() throws -> Postern {
        let postern = try Postern(FakeCenter.config(self), vault: .memory, transport: center)
        addTeardownBlock { postern.shutdown() }
        return postern
    }

    func testAnOvertakenStepAnswersSupersededAndChangesNothing() async throws {
        let login = try postern().login()
        let announced = Announced(login)
        let phone = try await announced.toPhone()
        try await phone.submit("138 0000 0000")
        let code = try await announced.smsCodeNeeded()
        let asked = center.logins
        let late = await thrown { try await phone.submit("13900000000") }
        let lateCancel = await thrown { try await phone.cancel() }
        XCTAssertEqual([late, lateCancel], [.superseded, .superseded])
        XCTAssertEqual(center.logins, asked)
        guard case .smsCodeNeeded(_, let present) = login.state else { return XCTFail("\(login.state)") }
        XCTAssertTrue(present === code)
    }

    func testADoubleTapSubmitsOnce() async throws {
        let announced = Announced(try postern().login())
        let phone = try await announced.toPhone()
        let before = center.logins
        center.manners.change { $0.delay = 0.2 }
        async let first = thrown { try await phone.submit("13800000000") }
        async let second = thrown { try await phone.submit("13800000000") }
        let outcomes = await [first, second]
        XCTAssertEqual(outcomes.filter { $0 == nil }.count, 1, "\(outcomes)")
        XCTAssertEqual(outcomes.filter { $0 == .superseded }.count, 1, "\(outcomes)")
        _ = try await announced.smsCodeNeeded()
        XCTAssertEqual(center.logins, before + 1)
    }

    func testWhatCannotBeRightCostsNothingAndLeavesTheStepGood() async throws {
        let announced = Announced(try postern().login())
        let phone = try await announced.toPhone()
        let before = center.logins
        let wrong = await thrown { try await phone.submit("12345") }
        XCTAssertEqual(wrong, .phoneNumberInvalid)
        XCTAssertEqual(center.logins, before)
        try await phone.submit("+86 138-0000-0000")
        let code = try await announced.smsCodeNeeded()
        let short = await thrown { try await code.submit("12") }
        XCTAssertEqual(short, .smsCodeInvalid)
    }

    func testACancelledTaskDoesNotCancelTheSubmit() async throws {
        let announced = Announced(try postern().login())
        let phone = try await announced.toPhone()
        let before = center.logins
        center.manners.change { $0.delay = 0.3 }
        let task = Task { try await phone.submit("13800000000") }
        try await eventually("the request is under way") { center.logins > before }
        task.cancel()
        _ = try await announced.smsCodeNeeded()
        XCTAssertEqual(center.logins, before + 1)
        try await task.value
    }

    func testATaskThatWasCancelledBeforeItBeganSubmitsAllTheSame() async throws {
        let announced = Announced(try postern().login())
        let phone = try await announced.toPhone()
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            try await phone.submit("13800000000")
        }
        task.cancel()
        try await task.value
        _ = try await announced.smsCodeNeeded()
    }

    func testAStrayAnswerOfTheProviderUsesNothingUp() async throws {
        let login = try postern().login()
        let announced = Announced(login)
        try await announced.ready().choose(.weChat)
        let (request, step) = try await announced.authorizing()
        let stray = await thrown { try await step.answer(ProviderReply(state: "of-another-attempt", code: "0815")) }
        let delivered = await thrown { try await login.deliver(ProviderReply(state: "of-another-attempt", code: "0815")) }
        XCTAssertEqual([stray, delivered], [.strayAnswer, .strayAnswer])
        try await login.deliver(ProviderReply(state: request.state, code: "0815", errorCode: 0))
        _ = try await announced.phoneNeeded()
    }

    func testAStepOfALoginThatIsGoneAnswersAndDoesNotHang() async throws {
        var postern: Postern? = try Postern(FakeCenter.config(self), vault: .memory, transport: center)
        let phone = try await { [postern] in
            guard let postern else { throw Trouble("nothing") }
            return try await Announced(postern.login()).toPhone()
        }()
        postern?.shutdown()
        postern = nil
        let outcome = await thrown { try await phone.submit("13800000000") }
        XCTAssertEqual(outcome, .closed)
    }

    func testEachFailureOfTheTransportReachesThePersonAsAFailureOfThatKind() async throws {
        let announced = Announced(try postern().login())
        let ready = try await announced.ready()
        center.manners.change { $0.failure = TransportFailure.tls }
        try await ready.choose(.weChat)
        let (untrusted, again) = try await announced.next { if case .ready(let info, let step) = $0 { (info.failure, step) } else { nil } }
        XCTAssertEqual(untrusted?.kind, .untrusted)
        // What is no TransportFailure is one without a name.
        center.manners.change { $0.failure = Boom() }
        try await again.choose(.weChat)
        let failure = try await announced.next { if case .ready(let info, _) = $0 { info.failure } else { nil } }
        XCTAssertEqual(failure.kind, .network)
        XCTAssertFalse("\(failure)".contains("SECRET"))
    }
}
