//! The world's processes: how they start, fork, hear, die and are reaped.

use super::*;

impl World {
    pub(super) fn spawn(&mut self) -> Event {
        if let Start::NotForked(step) = self.climate.start {
            return Event::SpawnFailed {
                step,
                errno: 11,
                forked: false,
            };
        }
        self.last_output = self.now;
        let leader = self.process(None);
        self.tree.push(leader);
        let exec = self.now + ms(self.roll(20));
        self.file(exec, Happening::ExecEnds);
        Event::Forked { pid: LEADER }
    }

    fn process(&mut self, parent: Option<usize>) -> Process {
        let hears = !self.one_in(self.climate.deaf);
        Process {
            parent,
            hears,
            life: Life::Alive,
        }
    }

    pub(super) fn exec_ends(&mut self) {
        if std::mem::replace(&mut self.exec_told, true) {
            return;
        }
        if let Start::NotExecuted(errno) = self.climate.start
            && self.tree[LEADER_INDEX].life == Life::Alive
        {
            self.exec_told = false;
            let step = SpawnStep::Exec;
            let forked = true;
            self.tell(Event::SpawnFailed {
                step,
                errno,
                forked,
            });
            self.die(LEADER_INDEX, Status::Exited(127));
            return;
        }
        self.tell(Event::Executed);
        if let Some(after) = self.climate.ends_after {
            let status = Status::Exited(u8::try_from(self.roll(256)).unwrap());
            let at = self.now + ms(after);
            self.file(at, Happening::Ends(LEADER_INDEX, status));
        }
        for _ in 0..self.climate.descendants {
            let at = self.now + ms(self.roll(20_000));
            self.file(at, Happening::Forks);
        }
    }

    /// Any that lives may fork; a storm goes on while it is being ended.
    pub(super) fn fork(&mut self) {
        let living: Vec<usize> = (0..self.tree.len())
            .filter(|index| self.tree[*index].life == Life::Alive)
            .collect();
        let Some(sides) = u64::try_from(living.len()).ok().filter(|sides| *sides > 0) else {
            return;
        };
        let parent = living[usize::try_from(self.roll(sides)).unwrap()];
        let child = self.process(Some(parent));
        self.tree.push(child);
        self.last_output = self.now;
        if self.to_fork > 0 && self.roll(3) == 0 {
            self.to_fork -= 1;
            let at = self.now + ms(self.roll(300));
            self.file(at, Happening::Forks);
        }
    }

    pub(super) fn signal_leader(&mut self, signo: i32) {
        let before_exec = !self.exec_told;
        let hears = self.tree[LEADER_INDEX].hears || before_exec;
        if hears && [SIGTERM, SIGINT].contains(&signo) {
            self.dies_soon(LEADER_INDEX, Status::Killed(signo));
        }
    }

    pub(super) fn dies_soon(&mut self, index: usize, status: Status) {
        let at = self.now + ms(self.roll(2000));
        self.file(at, Happening::Ends(index, status));
    }

    pub(super) fn kill_children(&mut self) {
        for index in 0..self.tree.len() {
            let Process { parent, life, .. } = self.tree[index];
            if parent.is_some() || life != Life::Alive {
                continue;
            }
            // Of the same process the same, each time.
            let lot = mix(self.climate.seed ^ index as u64);
            if self.climate.stuck > 0 && lot.is_multiple_of(self.climate.stuck) {
                let at = self.now + ms(lot % 30_000);
                self.file(at, Happening::Ends(index, Status::Killed(9)));
            } else if self.climate.traced > 0 && lot % self.climate.traced == 1 {
                self.orphan_children_of(index);
                self.tree[index].life = Life::Held;
            } else {
                self.die(index, Status::Killed(9));
            }
        }
    }

    pub(super) fn die(&mut self, index: usize, status: Status) {
        if self.tree[index].life != Life::Alive {
            return;
        }
        self.orphan_children_of(index);
        if self.tree[index].parent.is_some() {
            // Its parent reaps it.
            self.tree[index].life = Life::Reaped;
            return;
        }
        self.tree[index].life = Life::Zombie(status);
        let at = self.now + Duration::from_micros(self.roll(3000));
        self.file(at, Happening::Chld);
        if self.one_in(4) {
            self.file(at + ms(1), Happening::Chld);
        }
    }

    fn orphan_children_of(&mut self, index: usize) {
        for process in &mut self.tree {
            if process.parent == Some(index) {
                process.parent = None;
            }
        }
    }

    pub(super) fn reap(&mut self) {
        let (mut command, mut reaped) = (None, false);
        for index in 0..self.tree.len() {
            if let Life::Zombie(status) = self.tree[index].life {
                self.tree[index].life = Life::Reaped;
                reaped = true;
                if index == LEADER_INDEX {
                    command = Some(status);
                }
            }
        }
        if command.is_some() && self.told_status.is_none() && !self.failed_exec() {
            self.exec_ends();
        }
        let empty = self.tree.iter().all(|process| process.life == Life::Reaped);
        if reaped || empty {
            self.tell(Event::Reaped { command, empty });
        }
    }

    pub(super) fn survivors(&self) -> Vec<i32> {
        let pids = self.tree.iter().zip(LEADER..);
        pids.filter(|(process, _)| process.life == Life::Alive)
            .map(|(_, pid)| pid)
            .collect()
    }

    /// Whether the run was told that the program could not be run.
    pub(super) fn failed_exec(&self) -> bool {
        let failed = |(_, event): &(Time, Event)| matches!(event, Event::SpawnFailed { .. });
        self.log.iter().any(failed)
    }
}
