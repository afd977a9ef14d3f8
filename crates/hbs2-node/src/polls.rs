//! The references that the configuration names are polled from the start on.

use hbs2_proto::{Answer, Command, Poll};

use crate::driver::Desk;

/// Adds the rows of the configuration to the table of polls. A row that is there already gets the minutes of the
/// configuration; rows that clients have added stay.
pub(crate) async fn adopt(desk: Desk, polls: Vec<Poll>) {
    // An error means that the daemon is stopping again.
    let Ok(known) = desk.look(|node| node.polls()).await else { return };
    for poll in polls.into_iter().filter(|poll| !known.contains(poll)) {
        match desk.command(Command::PollAdd(poll)).await {
            Ok(Answer::Refused(refusal)) => {
                tracing::error!(%refusal, "cannot poll {} {}", poll.kind, poll.key);
            }
            Ok(_) => tracing::debug!("polling {} {} every {} min", poll.kind, poll.key, poll.minutes),
            Err(_) => return,
        }
    }
}
