"""What two participants must be able to do with each other, whichever programs they are.

A participant has `participant`, `address`, `catalog`, `negotiate`, `agreement`, `transfer`,
`state`, `ask` and `own`, as `edc.Edc` has. Each step is judged by both sides: a message that only
its sender believes in is a failure.
"""

import json

import edc

# Who asks for what, and the state in which both must then be.
STEPS = [
    ("consumer", "suspend", "SUSPENDED"),
    ("consumer", "resume", "STARTED"),
    ("provider", "suspend", "SUSPENDED"),
    ("provider", "resume", "STARTED"),
]


class Exchange:
    """One consumer and one provider; `passed` names the steps that held on both sides."""

    def __init__(self, consumer, provider):
        self.consumer, self.provider = consumer, provider
        self.passed = []

    def done(self, step):
        self.passed.append(step)
        print(f"passed {self.consumer.participant} -> {self.provider.participant}: {step}")

    def both(self, kind, consumer_pid, state):
        """Waits until both sides have a process in a state; returns the provider's id of it."""
        # The provider knows of a process once the consumer's request has reached it.
        self.reaches(self.consumer, kind, consumer_pid, state)
        provider_pid = self.provider.own(kind, consumer_pid)
        self.reaches(self.provider, kind, provider_pid, state)
        return provider_pid

    def reaches(self, side, kind, pid, state):
        wrong = set() if state == "TERMINATED" else {"TERMINATED"}
        what = f"{side.participant}: {kind} {pid}"
        edc.until(what, state, lambda: side.state(kind, pid), wrong)

    def run(self, dataset_id, permission):
        """Runs the whole exchange for a dataset that is offered under one permission.

        Returns how many steps held.
        """
        agreement = self.negotiate(dataset_id, permission)
        for last in ("consumer", "provider"):
            self.transfer(agreement, last)
        return len(self.passed)

    def negotiate(self, dataset_id, permission):
        found = self.consumer.catalog(self.provider).get(dataset_id)
        if found is None:
            raise edc.Unexpected(f"the catalog has no {dataset_id}")
        seen = edc.one(edc.one(found["hasPolicy"])["permission"])
        if seen != permission:
            raise edc.Unexpected(f"offered {json.dumps(permission)}, seen {json.dumps(seen)}")
        self.done("the catalog shows the offer as it was made")
        negotiation = self.consumer.negotiate(self.provider, found)
        provider_pid = self.both("negotiation", negotiation, "FINALIZED")
        self.done("the negotiation is FINALIZED")
        agreement = self.consumer.agreement(negotiation)
        if agreement != self.provider.agreement(provider_pid):
            raise edc.Unexpected("the agreement has two ids")
        return agreement

    def transfer(self, agreement, last):
        transfer = self.consumer.transfer(self.provider, agreement)
        pids = {"consumer": transfer, "provider": self.both("transfer", transfer, "STARTED")}
        self.done("the transfer is STARTED")
        for who, verb, state in [*STEPS, (last, "terminate", "TERMINATED")]:
            getattr(self, who).ask(verb, pids[who])
            self.both("transfer", transfer, state)
            self.done(f"the {who}'s {verb} makes it {state}")
