//! `filelatch group`: sessions that belong together.

use filelatch::store::{Group, Groups};
use serde_json::{Value, json};

use super::stores::{damaged, warn_of};
use crate::args_group::{self, GroupAction, GroupCreate, GroupList};
use crate::context::{Context, with_waiting};
use crate::output;
use crate::render::CliError;
use crate::table::table;

/// `current`: the session's name, if somebody has given it one.
pub(crate) fn group(context: &Context, args: &args_group::Group, current: Option<String>) -> Result<u8, CliError> {
    let groups = context.latch.groups(&args.dir)?;
    match &args.action {
        GroupAction::List(args) => return list(context, &groups, args),
        GroupAction::Create(args) => create(context, &groups, args)?,
        GroupAction::Join(args) => {
            let who = who(args.who.as_ref(), current)?;
            warn_of(context, &groups.path()?);
            let joined = with_waiting(args.waiting.wait(), |lock| groups.join(&args.name, &who, &lock))?;
            if context.json {
                output::json(&json!({"success": true, "name": args.name, "session": who, "joined": joined}))?;
            } else if !joined {
                output::note(&format!("{who} is in it already"));
            }
        }
        GroupAction::Leave(args) => {
            let who = who(args.who.as_ref(), current)?;
            warn_of(context, &groups.path()?);
            let left = with_waiting(args.waiting.wait(), |lock| groups.leave(&args.name, &who, &lock))?;
            if context.json {
                output::json(&json!({"success": true, "name": args.name, "session": who, "left": left}))?;
            } else if !left {
                output::note(&format!("{who} was not in it"));
            }
        }
        GroupAction::Delete(args) => {
            warn_of(context, &groups.path()?);
            with_waiting(args.waiting.wait(), |lock| groups.delete(&args.name, &lock))?;
            if context.json {
                output::json(&json!({"success": true, "name": args.name}))?;
            }
        }
    }
    Ok(crate::exit::DONE)
}

/// A name that was made up for one command would be in the group for ever.
fn who(asked: Option<&String>, current: Option<String>) -> Result<String, CliError> {
    asked.cloned().or(current).ok_or_else(|| {
        let error = CliError::own("usage", "this session has no name");
        error.hint("nothing was changed; name it after the group, or with --session or FILELATCH_SESSION")
    })
}

fn create(context: &Context, groups: &Groups, args: &GroupCreate) -> Result<(), CliError> {
    warn_of(context, &groups.path()?);
    let made = with_waiting(args.waiting.wait(), |lock| groups.create(&args.name, args.note.as_deref(), &lock))?;
    if context.json {
        let mut object = to_json(&made);
        object["success"] = true.into();
        output::json(&object)?;
    }
    Ok(())
}

fn list(context: &Context, groups: &Groups, args: &GroupList) -> Result<u8, CliError> {
    let mut found = groups.survey()?;
    if let Some(of) = &args.of {
        found.intact.retain(|group| group.members.iter().any(|member| member.session == *of));
    }
    if context.json {
        let all: Vec<_> = found.intact.iter().map(to_json).collect();
        output::json(&json!({"groups": all, "damaged": super::stores::to_json(&found.damaged)}))?;
    } else {
        let rows = found.intact.iter().map(|group| {
            let members: Vec<_> = group.members.iter().map(|member| member.session.as_str()).collect();
            let members = if members.is_empty() { "(nobody)".to_owned() } else { members.join(", ") };
            vec![group.name.clone(), members, group.note.clone().unwrap_or_default()]
        });
        output::data(table(&rows.collect::<Vec<_>>()).as_bytes())?;
        if found.intact.is_empty() && found.damaged.is_empty() {
            output::note("there is no such group; `filelatch group create NAME` makes one");
        }
    }
    Ok(damaged(context, &found.damaged))
}

fn to_json(group: &Group) -> Value {
    let members = group
        .members
        .iter()
        .map(|member| json!({"session": member.session, "joinedAt": member.joined_at.map(output::time)}));
    json!({
        "name": group.name,
        "note": group.note,
        "members": members.collect::<Vec<_>>(),
        "createdBy": group.created_by,
        "createdAt": group.created_at.map(output::time),
    })
}
