import type { Random } from "../random.ts";

const OPENERS = [
  "I think",
  "Maybe",
  "It looks like",
  "Good news:",
  "By the way,",
  "For tomorrow:",
  "As agreed,",
  "Heads up,",
];
const SUBJECTS = [
  "the release",
  "the new kitchen",
  "our train",
  "the garden plan",
  "the server",
  "the invoice",
  "the match",
];
const VERBS = [
  "is ready",
  "needs another look",
  "was moved to Friday",
  "works on my side",
  "is late again",
  "looks great",
];
const ENDINGS = ["", "", ".", "!", ", thanks to you.", ", what do you say?", ". Shall we talk at noon?", " :)"];
const SHORT = [
  "yes",
  "ok",
  "done",
  "on my way",
  "thanks!",
  "sounds good",
  "see you there",
  "no idea",
  "haha",
  "agreed",
];
const PLACES = [
  "Harbour",
  "Garden",
  "Library",
  "Workshop",
  "Kitchen",
  "Museum",
  "Station",
  "Orchard",
  "Bakery",
  "Studio",
];
const GROUPS = ["Friends", "Planning", "News", "Volunteers", "Support", "Band", "Readers", "Team", "Alumni", "Market"];
const TOPICS = ["Everything about", "Questions and answers on", "Announcements of", "Photos from", "Who does what in"];

export const FIRST_NAMES = [
  "ada",
  "ben",
  "carla",
  "dmitri",
  "elif",
  "fatima",
  "george",
  "hana",
  "ivan",
  "julia",
  "kofi",
  "lena",
  "marco",
  "nadia",
  "oscar",
  "priya",
  "quentin",
  "rosa",
  "samir",
  "tara",
  "ulrich",
  "vera",
  "wanda",
  "xavier",
  "yuki",
  "zoe",
  "anton",
  "bianca",
  "cyril",
  "dora",
  "emil",
  "flora",
  "gustav",
  "helga",
  "ines",
  "jonas",
  "karin",
  "liam",
  "mona",
  "nils",
  "olga",
  "pavel",
  "rita",
  "sofia",
  "timo",
  "uma",
  "victor",
  "wilma",
  "yara",
  "zeno",
];

export const REACTIONS = ["👍", "🎉", "❤️", "😄", "👀", "🙏"];

export function sentence(random: Random): string {
  if (random.chance(0.3)) return random.pick(SHORT);
  return `${random.pick(OPENERS)} ${random.pick(SUBJECTS)} ${random.pick(VERBS)}${random.pick(ENDINGS)}`;
}

export function roomName(random: Random): string {
  return `${random.pick(PLACES)} ${random.pick(GROUPS)}`;
}

export function roomTopic(random: Random, name: string): string {
  return `${random.pick(TOPICS)} ${name}`;
}

export function displayName(localpart: string): string {
  return `${localpart.charAt(0).toUpperCase()}${localpart.slice(1)}`;
}
