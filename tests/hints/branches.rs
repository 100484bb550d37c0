//! A module's branches: makes it count which way each goes, and writes down for the engine which way that hardly ever is.
//!
//! An engine that knows puts what is hardly ever reached behind the rest of its function. A hint changes nothing else:
//! <https://github.com/WebAssembly/branch-hinting/blob/main/proposals/branch-hinting/Overview.md>

use std::collections::BTreeMap;
use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    BranchHint, BranchHints, CodeSection, ConstExpr, Encode, ExportKind, ExportSection, GlobalSection, GlobalType,
    Instruction, Module, Section, ValType,
};
use wasmparser::{
    ExportSectionReader, FunctionBody, GlobalSectionReader, KnownCustom, Operator, Parser, Payload, TypeRef,
};

/// An `if` or a `br_if`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Branch {
    /// The number of its function, imported ones included.
    function: u32,
    /// In bytes from the beginning of the function's body.
    offset: u32,
}

/// Which ways a branch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    pub reached: u64,
    /// How often its condition held.
    pub held: u64,
}

/// What goes one way no more often than once in so many times is rare.
const RARE: u64 = 20;

impl Count {
    /// What its condition nearly always is; `None`: now this, now that, or nobody knows.
    pub fn usual(self) -> Option<bool> {
        let rare = |times: u64| self.reached > 0 && times * RARE <= self.reached;
        if rare(self.held) { Some(false) } else { rare(self.reached - self.held).then_some(true) }
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self { reached: self.reached + other.reached, held: self.held + other.held }
    }

    /// What there is more of than in `before`.
    pub fn since(self, before: Self) -> Self {
        Self { reached: self.reached - before.reached, held: self.held - before.held }
    }
}

/// The hints that a module has: branches, and what their conditions nearly always are.
pub fn hints(module: &[u8]) -> Vec<(Branch, bool)> {
    let mut hints = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let Payload::CustomSection(section) = payload.unwrap() else { continue };
        let KnownCustom::BranchHints(functions) = section.as_known() else { continue };
        for function in functions.into_iter().map(Result::unwrap) {
            let branch = |offset| Branch { function: function.func, offset };
            let all = function.hints.clone().into_iter().map(Result::unwrap);
            hints.extend(all.map(|hint| (branch(hint.func_offset), hint.taken)));
        }
    }
    hints
}

/// The module's branches, in order.
pub fn branches(module: &[u8]) -> Vec<Branch> {
    let (mut function, mut branches) = (0, Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload.unwrap() {
            Payload::ImportSection(section) => {
                let imports = section.into_imports().map(Result::unwrap);
                function +=
                    u32::try_from(imports.filter(|import| matches!(import.ty, TypeRef::Func(_))).count()).unwrap();
            }
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader().unwrap().into_iter_with_offsets() {
                    let (operator, offset) = operator.unwrap();
                    if matches!(operator, Operator::If { .. } | Operator::BrIf { .. }) {
                        let offset = u32::try_from(offset - body.range().start).unwrap();
                        branches.push(Branch { function, offset });
                    }
                }
                function += 1;
            }
            _ => {}
        }
    }
    branches
}

/// The name of the global in which [`counting`] has how often that branch was reached, and of the one for how often its
/// condition held.
pub fn counters(branch: usize) -> [String; 2] {
    [format!("reached {branch}"), format!("held {branch}")]
}

/// The same module, with two exported globals for each of its branches.
pub fn counting(module: &[u8]) -> Vec<u8> {
    let branches = u32::try_from(branches(module).len()).unwrap();
    let mut counting = Module::new();
    Counter { branches, condition: 0, done: 0 }.parse_core_module(&mut counting, Parser::new(0), module).unwrap();
    counting.finish()
}

/// The same module, with hints.
pub fn hinted(module: &[u8], hints: &[(Branch, bool)]) -> Vec<u8> {
    let mut functions: BTreeMap<u32, Vec<BranchHint>> = BTreeMap::new();
    for (branch, usual) in hints {
        let hint = BranchHint { branch_func_offset: branch.offset, branch_hint_value: u32::from(*usual) };
        functions.entry(branch.function).or_default().push(hint);
    }
    let mut section = BranchHints::new();
    for (function, hints) in functions {
        section.function_hints(function, hints);
    }
    let mut bytes = vec![section.id()];
    section.encode(&mut bytes);
    // They have their place before the code.
    let (before, after) = module.split_at(usize::try_from(code_section(module)).unwrap());
    [before, &bytes, after].concat()
}

/// Where the code section begins, its head included.
fn code_section(module: &[u8]) -> u64 {
    let mut end = 0;
    for payload in Parser::new(0).parse_all(module) {
        match payload.unwrap() {
            Payload::Version { range, .. } => end = range.end,
            Payload::CodeSectionStart { .. } => return end,
            payload => end = payload.as_section().map_or(end, |(_, range)| range.end),
        }
    }
    end
}

struct Counter {
    branches: u32,
    /// Index of the global that keeps a condition; the counters follow it.
    condition: u32,
    /// How many branches are done.
    done: u32,
}

impl Reencode for Counter {
    type Error = Infallible;

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: GlobalSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        utils::parse_global_section(self, globals, section)?;
        self.condition = globals.len();
        let global = |val_type| GlobalType { val_type, mutable: true, shared: false };
        globals.global(global(ValType::I32), &ConstExpr::i32_const(0));
        for _ in 0..2 * self.branches {
            globals.global(global(ValType::I64), &ConstExpr::i64_const(0));
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        utils::parse_export_section(self, exports, section)?;
        for branch in 0..self.branches {
            for (name, global) in counters(branch as usize).iter().zip(self.globals(branch)) {
                exports.export(name, ExportKind::Global, global);
            }
        }
        Ok(())
    }

    fn parse_function_body(&mut self, code: &mut CodeSection, body: FunctionBody<'_>) -> Result<(), reencode::Error> {
        use Instruction::{BrIf, GlobalGet, GlobalSet, I32Eqz, I64Add, I64Const, I64ExtendI32U, If};
        let mut function = self.new_function_with_parsed_locals(&body)?;
        for operator in body.get_operators_reader()? {
            let instruction = self.instruction(operator?)?;
            if matches!(instruction, If(_) | BrIf(_)) {
                let [reached, held] = self.globals(self.done);
                let keep = [GlobalSet(self.condition)];
                let reach = [GlobalGet(reached), I64Const(1), I64Add, GlobalSet(reached)];
                let truth = [GlobalGet(self.condition), I32Eqz, I32Eqz, I64ExtendI32U];
                let hold = [GlobalGet(held), I64Add, GlobalSet(held)];
                let restore = [GlobalGet(self.condition)];
                for instruction in keep.iter().chain(&reach).chain(&truth).chain(&hold).chain(&restore) {
                    function.instruction(instruction);
                }
                self.done += 1;
            }
            function.instruction(&instruction);
        }
        code.function(&function);
        Ok(())
    }
}

impl Counter {
    fn globals(&self, branch: u32) -> [u32; 2] {
        let first = self.condition + 1 + 2 * branch;
        [first, first + 1]
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        BlockType, CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
        ImportSection, Instruction, Module, TypeSection, ValType,
    };
    use wasmi::{Engine, Instance, Linker, Store};

    use super::{Count, branches, counters, counting, hinted, hints};

    /// One import, and a function that counts down from its argument, and says whether that was more than 3.
    fn module() -> Vec<u8> {
        let mut module = Module::new();
        let mut types = TypeSection::new();
        types.ty().function([], []);
        types.ty().function([ValType::I32], [ValType::I32]);
        module.section(&types);
        let mut imports = ImportSection::new();
        imports.import("env", "nothing", EntityType::Function(0));
        module.section(&imports);
        let mut functions = FunctionSection::new();
        functions.function(1);
        module.section(&functions);
        module.section(&GlobalSection::new());
        let mut exports = ExportSection::new();
        exports.export("f", ExportKind::Func, 1);
        module.section(&exports);
        let mut function = Function::new([(1, ValType::I32)]);
        for instruction in [
            Instruction::LocalGet(0),
            Instruction::I32Const(3),
            Instruction::I32GtU,
            Instruction::If(BlockType::Empty),
            Instruction::I32Const(1),
            Instruction::LocalSet(1),
            Instruction::End,
            Instruction::Loop(BlockType::Empty),
            Instruction::LocalGet(0),
            Instruction::I32Const(1),
            Instruction::I32Sub,
            Instruction::LocalTee(0),
            Instruction::BrIf(0),
            Instruction::End,
            Instruction::LocalGet(1),
            Instruction::End,
        ] {
            function.instruction(&instruction);
        }
        let mut code = CodeSection::new();
        code.function(&function);
        module.section(&code);
        module.finish()
    }

    fn run(module: &[u8], argument: i32) -> (i32, Vec<Count>) {
        let engine = Engine::default();
        let (mut store, mut linker) = (Store::new(&engine, ()), Linker::new(&engine));
        linker.func_wrap("env", "nothing", || {}).unwrap();
        let parsed = wasmi::Module::new(&engine, module).unwrap();
        let instance: Instance = linker.instantiate_and_start(&mut store, &parsed).unwrap();
        let result = instance.get_typed_func::<i32, i32>(&store, "f").unwrap().call(&mut store, argument).unwrap();
        let counts = (0..).map_while(|branch| {
            let [reached, held] = counters(branch).map(|name| {
                instance.get_global(&store, &name).map(|global| global.get(&store).i64().unwrap().cast_unsigned())
            });
            Some(Count { reached: reached?, held: held? })
        });
        (result, counts.collect())
    }

    #[test]
    fn every_branch_is_counted_and_the_module_does_what_it_did() {
        let (module, count) = (module(), |reached, held| Count { reached, held });
        assert_eq!(run(&counting(&module), 3), (0, vec![count(1, 0), count(3, 2)]));
        assert_eq!(run(&counting(&module), 30), (1, vec![count(1, 1), count(30, 29)]));
        assert_eq!(run(&module, 30), (1, vec![]));
    }

    #[test]
    fn hints_are_where_the_branches_are_and_change_nothing() {
        let module = module();
        let [first, second] = branches(&module)[..] else { panic!("two branches") };
        let hinted = hinted(&module, &[(first, false), (second, true)]);
        assert_eq!(hints(&module), []);
        assert_eq!((run(&hinted, 2), branches(&hinted)), ((0, vec![]), vec![first, second]));
        assert_eq!(hints(&hinted), [(first, false), (second, true)]);
    }

    #[test]
    fn what_is_rare_is_told_and_what_nobody_knows_is_not() {
        let usual = |reached, held| Count { reached, held }.usual();
        assert_eq!((usual(0, 0), usual(2, 1), usual(19, 1), usual(100, 94)), (None, None, None, None));
        assert_eq!(
            (usual(1, 0), usual(20, 1), usual(1, 1), usual(100, 95)),
            (Some(false), Some(false), Some(true), Some(true))
        );
    }
}
