//! Makes a module count its own instructions.
//!
//! At the beginning of every basic block its length is added to a global of the function's. What no machine executes as such (constants,
//! locals, labels) is not counted; bytes that are moved are, 32 for one. An interpreter's fuel is no measure of that: wasmi
//! charges all of a loop's body for each turn, what is rarely reached in it too.

use std::collections::BTreeMap;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    CodeSection, ConstExpr, ExportKind, ExportSection, Function, GlobalSection, GlobalType, Instruction, Module,
    ValType,
};
use wasmparser::{ExportSectionReader, FunctionBody, GlobalSectionReader, KnownCustom, Name, Parser, Payload};

/// The same module, with an exported global for each function that counts what is executed in it, by the function's number.
pub fn metered(module: &[u8]) -> Vec<u8> {
    let mut metered = Module::new();
    let functions = Parser::new(0).parse_all(module).map(|payload| match payload.unwrap() {
        Payload::FunctionSection(section) => section.count(),
        _ => 0,
    });
    let mut meter = Meter { functions: functions.sum(), length: 0, done: 0 };
    meter.parse_core_module(&mut metered, Parser::new(0), module).unwrap();
    metered.finish()
}

/// Names of the functions that are not imported, by number, as far as the module has them.
pub fn names(module: &[u8]) -> BTreeMap<u32, String> {
    let (mut imports, mut names) = (0, BTreeMap::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload.unwrap() {
            Payload::ImportSection(section) => imports = section.count(),
            Payload::CustomSection(section) => {
                let KnownCustom::Name(section) = section.as_known() else { continue };
                for subsection in section {
                    let Ok(Name::Function(functions)) = subsection else { continue };
                    let functions = functions.into_iter().map(core::result::Result::unwrap);
                    let own = functions.filter_map(|naming| Some((naming.index.checked_sub(imports)?, naming.name)));
                    names.extend(own.map(|(number, name)| (number, name.to_owned())));
                }
            }
            _ => {}
        }
    }
    names
}

struct Meter {
    functions: u32,
    /// Index of the global that is for the lengths of moves; the functions' follow it.
    length: u32,
    /// How many functions are done.
    done: u32,
}

type Result<T> = core::result::Result<T, reencode::Error>;

impl Reencode for Meter {
    type Error = core::convert::Infallible;

    fn parse_global_section(&mut self, globals: &mut GlobalSection, section: GlobalSectionReader<'_>) -> Result<()> {
        utils::parse_global_section(self, globals, section)?;
        self.length = globals.len();
        let global = |val_type| GlobalType { val_type, mutable: true, shared: false };
        globals.global(global(ValType::I32), &ConstExpr::i32_const(0));
        for _ in 0..self.functions {
            globals.global(global(ValType::I64), &ConstExpr::i64_const(0));
        }
        Ok(())
    }

    fn parse_export_section(&mut self, exports: &mut ExportSection, section: ExportSectionReader<'_>) -> Result<()> {
        utils::parse_export_section(self, exports, section)?;
        for function in 0..self.functions {
            exports.export(&function.to_string(), ExportKind::Global, self.length + 1 + function);
        }
        Ok(())
    }

    fn parse_function_body(&mut self, code: &mut CodeSection, body: FunctionBody<'_>) -> Result<()> {
        let mut function = self.new_function_with_parsed_locals(&body)?;
        let mut block = Vec::new();
        for operator in body.get_operators_reader()? {
            let instruction = self.instruction(operator?)?;
            let last = ends_block(&instruction);
            block.push(instruction);
            if last {
                self.write(&mut block, &mut function);
            }
        }
        code.function(&function);
        self.done += 1;
        Ok(())
    }
}

impl Meter {
    fn write(&self, block: &mut Vec<Instruction<'_>>, function: &mut Function) {
        let cost = block.iter().filter(|instruction| !is_free(instruction)).count();
        if cost > 0 {
            self.add(function, &[Instruction::I64Const(cost.try_into().unwrap())]);
        }
        for instruction in block.drain(..) {
            if matches!(instruction, Instruction::MemoryCopy { .. } | Instruction::MemoryFill(_)) {
                function.instruction(&Instruction::GlobalSet(self.length));
                let in_32 = [Instruction::I64ExtendI32U, Instruction::I64Const(5), Instruction::I64ShrU];
                self.add(function, &[&[Instruction::GlobalGet(self.length)], &in_32[..]].concat());
                function.instruction(&Instruction::GlobalGet(self.length));
            }
            function.instruction(&instruction);
        }
    }

    fn add(&self, function: &mut Function, cost: &[Instruction<'_>]) {
        let counter = self.length + 1 + self.done;
        function.instruction(&Instruction::GlobalGet(counter));
        for instruction in cost {
            function.instruction(instruction);
        }
        function.instruction(&Instruction::I64Add);
        function.instruction(&Instruction::GlobalSet(counter));
    }
}

/// Whether what follows is reached in another way too, or not always.
fn ends_block(instruction: &Instruction<'_>) -> bool {
    use Instruction::{Br, BrIf, BrTable, Else, End, If, Loop, Return, Unreachable};
    matches!(instruction, Br(_) | BrIf(_) | BrTable(..) | Else | End | If(_) | Loop(_) | Return | Unreachable)
}

fn is_free(instruction: &Instruction<'_>) -> bool {
    use Instruction::{
        Block, Drop, Else, End, F32Const, F64Const, I32Const, I64Const, LocalGet, LocalSet, LocalTee, Loop,
    };
    matches!(
        instruction,
        Block(_)
            | Drop
            | Else
            | End
            | F32Const(_)
            | F64Const(_)
            | I32Const(_)
            | I64Const(_)
            | LocalGet(_)
            | LocalSet(_)
            | LocalTee(_)
            | Loop(_)
            | Instruction::Nop
    )
}
