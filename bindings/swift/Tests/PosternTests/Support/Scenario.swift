import Foundation

/// `contract/scenarios.json` as types: an unknown word is an error, not a line that is passed over.
struct Scenario: Decodable, Sendable {
    let name: String
    let person: JSON
    let other: JSON?
    let before: [Line]
    let steps: [Line]
    let endsIn: String
    let roundTrips: Int?

    enum CodingKeys: String, CodingKey {
        case name, person, other, before, steps
        case endsIn = "ends_in"
        case roundTrips = "round_trips"
    }

    /// Every scenario of the contract, by name.
    static let all: Result<[String: Scenario], any Error> = Result {
        struct File: Decodable { let scenarios: [Scenario] }
        let file = repository.appendingPathComponent("contract/scenarios.json")
        let scenarios = try JSONDecoder().decode(File.self, from: Data(contentsOf: file)).scenarios
        return Dictionary(scenarios.map { ($0.name, $0) }) { _, last in last }
    }
}

enum Line: Sendable {
    case act(Action)
    case expect(String, facts: [String: JSON])
}

extension Line: Decodable {
    private enum CodingKeys: String, CodingKey { case expect, facts }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        if let name = try container.decodeIfPresent(String.self, forKey: .expect) {
            self = .expect(name, facts: try container.decodeIfPresent([String: JSON].self, forKey: .facts) ?? [:])
        } else {
            self = .act(try Action(from: decoder))
        }
    }
}

/// What the person or the world does. Texts may be `$values` of the cast.
indirect enum Action: Sendable {
    enum WeChat: String, Decodable {
        case agree, refuse, close, none, missing
        case refuseAtOnce = "refuse_at_once"
        case agreeAsOther = "agree_as_other"
    }
    enum Face: String, Decodable { case pass, fail, timeout, decline }
    enum Session: String, Decodable {
        case isSignedIn = "is_signed_in"
        case isSignedOut = "is_signed_out"
        case renew
        case renewRefused = "renew_refused"
        case renewUnavailable = "renew_unavailable"
        case account
        case signOut = "sign_out"
        case endAtServer = "end_at_server"
    }
    struct Card: Decodable {
        let number: String
        let withdrawalPassword: String
        enum CodingKeys: String, CodingKey {
            case number
            case withdrawalPassword = "withdrawal_password"
        }
    }
    struct Advice: Decodable {
        let operation: String
        let word: String
        enum CodingKeys: String, CodingKey {
            case operation
            case word = "is"
        }
    }

    case choose(String)
    case weChat(WeChat)
    case submitPhone(String)
    case submitCode(String)
    case resend
    case changePhone
    case submitLoginPassword(String)
    case submitCard(Card)
    case register(String)
    case face(Face)
    case askAgain
    case dismiss
    case startOver
    case cancel
    case invalid(Action)
    case restart
    case fault(JSON)
    case clearFaults
    case session(Session)
    case sessions(Int)
    case inboxCount(Int)
    case advice(Advice)
}

extension Action: Decodable {
    private struct Word: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue _: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Word.self)
        guard let word = container.allKeys.first, container.allKeys.count == 1 else {
            throw Trouble("not one word: \(container.allKeys.map(\.stringValue))")
        }
        func value<Value: Decodable>() throws -> Value { try container.decode(Value.self, forKey: word) }
        self =
            switch word.stringValue {
            case "choose": .choose(try value())
            case "wechat": .weChat(try value())
            case "submit_phone": .submitPhone(try value())
            case "submit_code": .submitCode(try value())
            case "resend": .resend
            case "change_phone": .changePhone
            case "submit_login_password": .submitLoginPassword(try value())
            case "submit_card": .submitCard(try value())
            case "register": .register(try value())
            case "face": .face(try value())
            case "ask_again": .askAgain
            case "dismiss": .dismiss
            case "start_over": .startOver
            case "cancel": .cancel
            case "invalid": .invalid(try value())
            case "restart": .restart
            case "fault": .fault(try value())
            case "clear_faults": .clearFaults
            case "session": .session(try value())
            case "sessions": .sessions(try value())
            case "inbox_count": .inboxCount(try value())
            case "advice": .advice(try value())
            default: throw Trouble("an unknown word: \(word.stringValue)")
            }
    }
}
