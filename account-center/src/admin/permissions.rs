//! Who may do what: one table.

/// What an operator may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Looks on: rollout, funnels, subscriptions, partners.
    Viewer,
    /// Runs the service: changes rollout, subscriptions and partners, looks accounts up.
    Operator,
    /// Decides appeals (U6), and looks accounts up for that.
    Appeals,
    /// Everything, also who the operators are, and the audit log.
    Admin,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Operator, Role::Appeals, Role::Admin];

    /// Its word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Appeals => "appeals",
            Self::Admin => "admin",
        }
    }

    /// The role of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// Whether this role may do that.
    pub fn may(self, permission: Permission) -> bool {
        let (_, roles) = TABLE[permission as usize];
        roles.contains(&self)
    }
}

/// What a call of the admin API needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// One's own session and password: every operator.
    Own,
    /// See the stages of release (L12).
    ReadRollout,
    /// Change them, and take a provider back.
    ChangeRollout,
    /// Funnels, active users, new customers (L11): numbers only.
    ReadFunnels,
    /// Look a customer's account up. It is masked, and each look is audited.
    ReadAccounts,
    /// See appeals (U6).
    ReadAppeals,
    /// Decide them.
    DecideAppeals,
    /// See which business lines are told of changes.
    ReadSubscriptions,
    /// Change that, replay, let go of dead letters.
    ChangeSubscriptions,
    /// See partners (J1).
    ReadPartners,
    /// Change partners.
    ChangePartners,
    /// Read the audit log.
    ReadAudit,
    /// Make, change, shut out operators, and end their sessions.
    ManageAdmins,
}

/// In the order of [`Permission`], which a test compares.
const TABLE: [(Permission, &[Role]); 13] = [
    (Permission::Own, &Role::ALL),
    (
        Permission::ReadRollout,
        &[Role::Viewer, Role::Operator, Role::Admin],
    ),
    (Permission::ChangeRollout, &[Role::Operator, Role::Admin]),
    (
        Permission::ReadFunnels,
        &[Role::Viewer, Role::Operator, Role::Admin],
    ),
    (
        Permission::ReadAccounts,
        &[Role::Operator, Role::Appeals, Role::Admin],
    ),
    (Permission::ReadAppeals, &[Role::Appeals, Role::Admin]),
    (Permission::DecideAppeals, &[Role::Appeals, Role::Admin]),
    (
        Permission::ReadSubscriptions,
        &[Role::Viewer, Role::Operator, Role::Admin],
    ),
    (
        Permission::ChangeSubscriptions,
        &[Role::Operator, Role::Admin],
    ),
    (
        Permission::ReadPartners,
        &[Role::Viewer, Role::Operator, Role::Admin],
    ),
    (Permission::ChangePartners, &[Role::Operator, Role::Admin]),
    (Permission::ReadAudit, &[Role::Admin]),
    (Permission::ManageAdmins, &[Role::Admin]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum_and_admin_may_everything() {
        for (index, (permission, _)) in TABLE.iter().enumerate() {
            assert_eq!(*permission as usize, index);
            assert!(Role::Admin.may(*permission));
        }
    }

    #[test]
    fn a_viewer_changes_nothing_and_sees_nobody() {
        let may: Vec<Permission> = TABLE
            .iter()
            .map(|(permission, _)| *permission)
            .filter(|permission| Role::Viewer.may(*permission))
            .collect();
        assert_eq!(
            may,
            [
                Permission::Own,
                Permission::ReadRollout,
                Permission::ReadFunnels,
                Permission::ReadSubscriptions,
                Permission::ReadPartners
            ]
        );
        assert!(!Role::Operator.may(Permission::DecideAppeals));
        assert!(!Role::Appeals.may(Permission::ChangeRollout));
    }

    #[test]
    fn words_and_roles_are_one_to_one() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert_eq!(Role::parse("root"), None);
    }
}
