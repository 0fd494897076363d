import Foundation
import XCTest

/// Each scenario of `contract/scenarios.json`, through the facade and against running servers. A scenario is a test of the same name, so that a report
/// names it; the last test compares the two lists.
final class ScenarioTests: XCTestCase {
    private func play(_ test: String = #function) async throws {
        let name = snake(String(test.dropFirst("test".count).prefix { $0 != "(" }))
        guard let scenario = try Scenario.all.get()[String(name.dropFirst())] else { throw Trouble("the contract has no such scenario") }
        try await Player.play(scenario, in: try World.given())
    }

    func testNewUnsignedPerson() async throws { try await play() }
    func testNewSignedCustomerByLoginPassword() async throws { try await play() }
    func testNewSignedCustomerByCard() async throws { try await play() }
    func testReturningUnsignedPerson() async throws { try await play() }
    func testReturningSignedCustomer() async throws { try await play() }
    func testRefusedThenAskedAgain() async throws { try await play() }
    func testCancelled() async throws { try await play() }
    func testReturnedWithoutAnswer() async throws { try await play() }
    func testWechatNotInstalled() async throws { try await play() }
    func testRefusedBeforeAnyPage() async throws { try await play() }
    func testWrongSmsCodeToTheLimit() async throws { try await play() }
    func testWrongSmsCodeThenTheRightOne() async throws { try await play() }
    func testResendTooSoonThenAnotherNumber() async throws { try await play() }
    func testWrongPasswordToTheLock() async throws { try await play() }
    func testCardOfSomebodyElse() async throws { try await play() }
    func testFaceFailedAndTimedOut() async throws { try await play() }
    func testFaceFailedToTheLimit() async throws { try await play() }
    func testFaceDeclined() async throws { try await play() }
    func testInvalidInputUsesNothingUp() async throws { try await play() }
    func testCancelledAtEachStep() async throws { try await play() }
    func testCustomerAmbiguous() async throws { try await play() }
    func testNumberOfAnExistingAccount() async throws { try await play() }
    func testPersonWithoutUnionId() async throws { try await play() }
    func testProcessEndsAtWechat() async throws { try await play() }
    func testProcessEndsAtEachStepUnsigned() async throws { try await play() }
    func testProcessEndsAtEachStepSigned() async throws { try await play() }
    func testProcessEndsAfterTheEnd() async throws { try await play() }
    func testSessionFoundAfterRestartAndRenewed() async throws { try await play() }
    func testSessionEndedAtTheServer() async throws { try await play() }
    func testSessionOutlivesAServerThatIsDown() async throws { try await play() }
    func testLostReplyToARenewal() async throws { try await play() }
    func testServerDownAtTheButton() async throws { try await play() }
    func testServerDownAfterConsent() async throws { try await play() }
    func testServerDownAtEachStep() async throws { try await play() }
    func testServerUnavailableAtAStep() async throws { try await play() }
    func testServerSlow() async throws { try await play() }
    func testServerSlowerThanPatience() async throws { try await play() }
    func testServerAnswersRubbish() async throws { try await play() }
    func testServerAnswersRubbishAfterConsent() async throws { try await play() }
    func testLostRepliesNewUnsigned() async throws { try await play() }
    func testLostRepliesNewSigned() async throws { try await play() }
    func testLostRepliesReturningUnsigned() async throws { try await play() }
    func testLostRepliesReturningSigned() async throws { try await play() }
    func testProviderCodeUnknown() async throws { try await play() }
    func testProviderCodeUsed() async throws { try await play() }
    func testProviderCodeExpired() async throws { try await play() }
    func testProviderBusyForAMoment() async throws { try await play() }
    func testProviderUnavailable() async throws { try await play() }
    func testProviderMisconfigured() async throws { try await play() }
    func testSmsGatewayDown() async throws { try await play() }
    func testCoreDownUsesUpNothing() async throws { try await play() }
    func testFaceServiceDownUsesUpNothing() async throws { try await play() }
    func testAdviceAsksOnceByItself() async throws { try await play() }
    func testAdviceAfterARefusalAtTheButton() async throws { try await play() }
    func testAdviceAfterACancel() async throws { try await play() }
    func testAdviceForgetsARefusalAfterALogin() async throws { try await play() }

    func testEveryScenarioOfTheContractIsPlayed() throws {
        let source = try String(contentsOf: URL(fileURLWithPath: #filePath), encoding: .utf8)
        let tests = source.split(separator: "\n").compactMap { line -> String? in
            guard line.hasSuffix("{ try await play() }"), let word = line.split(separator: " ").dropFirst().first else { return nil }
            return String(snake(String(word.dropFirst("test".count).prefix { $0 != "(" })).dropFirst())
        }
        XCTAssertEqual(tests.sorted(), try Scenario.all.get().keys.sorted())
    }
}
