//! Face recognition: the ticket is checked server to server, once, and must name this customer, login, device key and nonce (L5, L7).

use super::advance::Known;
use super::decision::Progress;
use super::engine::{Engine, Present};
use super::state::{FacePurpose, Stage};
use super::wire::FaceAnswer;
use crate::http::Call;
use crate::http::reply::Reply;
use crate::ports::FaceBinding;
use crate::problem::{Code, Problem};

impl Engine {
    pub(super) async fn submit_face(
        &self,
        call: &Call,
        present: Present,
        answer: &FaceAnswer,
    ) -> Result<Reply, Problem> {
        let Stage::Face { purpose, nonce, .. } = present.state.stage.clone() else {
            return Err(Problem::internal("no face is asked for"));
        };
        let expected = FaceBinding {
            customer: purpose.customer().clone(),
            login: present.row.login_hash.clone(),
            device_key: call.device_key.as_str().to_owned(),
            nonce,
        };
        if !self.parts.face_passed(&answer.ticket, &expected).await? {
            return self.face_failed(call, present, purpose).await;
        }
        let (phone, progress) = match purpose {
            FacePurpose::Bind {
                phone,
                customer,
                account,
            } => (Some(phone), Progress::FacePassed { customer, account }),
            FacePurpose::Return { customer } => (None, Progress::ReturnFacePassed { customer }),
        };
        let known = Known {
            identity: present.state.identity.clone(),
            phone,
            password_hash: None,
            attempts_used: 0,
        };
        self.advance_from(call, present, None, known, progress)
            .await
    }

    /// A session and its ticket serve once: the next try gets new ones.
    async fn face_failed(
        &self,
        call: &Call,
        present: Present,
        purpose: FacePurpose,
    ) -> Result<Reply, Problem> {
        let Stage::Face { attempts_used, .. } = &present.state.stage else {
            return Err(Problem::internal("no face is asked for"));
        };
        let attempts_used = attempts_used.saturating_add(1);
        let left = self
            .parts
            .policy
            .face_attempts
            .saturating_sub(attempts_used);
        let again = if left == 0 {
            None
        } else {
            Some(
                self.open_face(call, &present.row.login_hash, purpose)
                    .await?
                    .into_stage(attempts_used),
            )
        };
        let (engine, call) = (self.clone(), call.clone());
        self.parts
            .store
            .write(move |tx| {
                let (engine, call, present, again) =
                    (engine.clone(), call.clone(), present.clone(), again.clone());
                Box::pin(async move {
                    let held = engine.hold(tx, &present).await?;
                    let Some(stage) = again else {
                        return engine
                            .end(
                                tx,
                                &call,
                                &held,
                                &Problem::new(Code::TooManyAttempts).attempts_left(0),
                            )
                            .await;
                    };
                    let now = engine.put(tx, &held, stage).await?;
                    engine
                        .record(tx, &now.row, &now.state, "face_failed")
                        .await?;
                    let problem = Problem::new(Code::FaceFailed).attempts_left(left);
                    let reply = Reply::problem(&engine.at_step(&now, problem), &call.request_id);
                    call.ticket.finish(tx, &reply).await?;
                    Ok(reply)
                })
            })
            .await
    }
}
