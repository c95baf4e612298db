import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { native } from '../lib/native';

// The addon's exports are written down three times: as they are, in the comment `// name(args): type` beside each C++
// definition, and in the interface `Native` of lib/native.ts. Members are named `function`, `Class.static`,
// `Class#method`, `Class#accessor` and `Class.constructor`.

/** Signatures without the differences that mean nothing: white space, `;` for `,`, a comma before a closing bracket. */
function normalise(signature: string): string {
  return signature
    .replace(/\s+/g, '')
    .replace(/;/g, ',')
    .replace(/,([)}])/g, '$1');
}

/** What the addon has. A constructor cannot be told from one that throws, so there are none here. */
function realExports(): string[] {
  const names: string[] = [];
  for (const [name, value] of Object.entries(native) as [string, unknown][]) {
    if (!/^[A-Z]/.test(name)) {
      names.push(name);
      continue;
    }
    const ofEveryFunction = new Set(Object.getOwnPropertyNames(native.platform));
    const statics = Object.getOwnPropertyNames(value).filter((key) => !ofEveryFunction.has(key));
    const members = Object.getOwnPropertyNames((value as { prototype: object }).prototype).filter(
      (key) => key !== 'constructor',
    );
    names.push(...statics.map((key) => `${name}.${key}`), ...members.map((key) => `${name}#${key}`));
  }
  return names.sort();
}

/** Signatures in the comments of cpp/node. A note may stand behind a signature after three spaces. */
function documentedInCpp(): Map<string, string> {
  const signatures = new Map<string, string>();
  const folder = join(__dirname, '../cpp/node');
  for (const file of readdirSync(folder)) {
    const text = readFileSync(join(folder, file), 'utf8');
    // A class begins, or a function that JavaScript calls is defined, with the comment before it.
    const pattern =
      /^class (\w+) : public Napi::ObjectWrap|((?:^ *\/\/.*\n)*)^ *(static )?(?:Napi::Value|void|(explicit)) (\w+)\(const Napi::CallbackInfo&/gm;
    let inClass = '';
    for (const [, className, comment = '', isStatic, isConstructor, method] of text.matchAll(pattern)) {
      if (className) {
        inClass = className;
        continue;
      }
      const lines = comment.split('\n').map((line) => line.replace(/^ *\/\/ */, ''));
      const [signature] = lines.join(' ').trim().split('   ');
      const [, name, rest] = /^(?:static )?(\w+)(.*)$/.exec(signature!) ?? [];
      // A class that only the addon makes has a constructor that is not for JavaScript.
      if (isConstructor && name !== 'constructor') continue;
      if (name === undefined) throw new Error(`${file}: ${method} has no comment "// name(args): type"`);
      const separator = isStatic || isConstructor ? '.' : '#';
      signatures.set(inClass ? inClass + separator + name : name, normalise(rest!));
    }
  }
  return signatures;
}

/** Signatures of the interface `Native` and of the classes it names. */
function documentedInTypeScript(): Map<string, string> {
  const path = join(__dirname, '../lib/native.ts');
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2022, true);
  const interfaces = new Map(source.statements.filter(ts.isInterfaceDeclaration).map((node) => [node.name.text, node]));
  const signatures = new Map<string, string>();

  const set = (name: string, member: ts.SignatureDeclarationBase | ts.PropertySignature, returns: boolean) => {
    const parameters = 'parameters' in member ? `(${member.parameters.map((p) => p.getText()).join(',')})` : '';
    signatures.set(name, normalise(parameters + (returns ? `:${member.type!.getText()}` : '')));
  };
  for (const member of interfaces.get('Native')!.members) {
    const name = member.name!.getText();
    if (ts.isMethodSignature(member)) {
      set(name, member, true);
      continue;
    }
    // A class: what `new` and its statics take, then its instances, whose interface has its name.
    const { type } = member as ts.PropertySignature;
    if (ts.isConstructorTypeNode(type!)) set(`${name}.constructor`, type, false);
    for (const part of interfaces.get(type!.getText())?.members ?? []) {
      if (ts.isConstructSignatureDeclaration(part)) set(`${name}.constructor`, part, false);
      else set(`${name}.${part.name!.getText()}`, part as ts.MethodSignature, true);
    }
    for (const part of interfaces.get(name)!.members) {
      set(`${name}#${part.name!.getText()}`, part as ts.MethodSignature | ts.PropertySignature, true);
    }
  }
  return signatures;
}

const withoutConstructors = (names: Iterable<string>) =>
  [...names].filter((name) => !name.endsWith('.constructor')).sort();

test('the interface in TypeScript names what the addon exports', () => {
  const names = realExports();
  expect(names.length).toBeGreaterThanOrEqual(15);
  expect(withoutConstructors(documentedInTypeScript().keys())).toEqual(names);
});

test('every function the addon exports has its comment beside its C++ definition', () => {
  expect(withoutConstructors(documentedInCpp().keys())).toEqual(realExports());
});

test('the comments in C++ have the signatures of the interface in TypeScript', () => {
  expect(Object.fromEntries(documentedInCpp())).toEqual(Object.fromEntries(documentedInTypeScript()));
});
