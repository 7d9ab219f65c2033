//! What an officer must look at.

use karvan_subsystem::interface::{Endpoint, Kind};

use super::{CASE_STATE, CURSOR, LIMIT, LISTED, READ, TASK, WRITE, query, shown, whole};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        id: "listTasks",
        path: "/tasks",
        group: "Tasks",
        summary: "List tasks",
        about: LISTED,
        operation: "browse",
        fixed: &[("what", "tasks")],
        parameters: &[
            CASE_STATE,
            query("kind", Kind::Text { chars_max: 40 }, "Only those of this kind.", "valuation"),
            LIMIT,
            CURSOR,
        ],
        answer: shown("TaskPage", "tasks"),
        ..READ
    },
    Endpoint {
        id: "resolveTask",
        path: "/tasks/{task}/resolution",
        group: "Tasks",
        summary: "Close a task",
        about: "Says what was done about it.",
        operation: "resolve",
        parameters: &[TASK],
        body: Some(whole("Words", "words")),
        answer: shown("TaskView", "task"),
        ..WRITE
    },
];
